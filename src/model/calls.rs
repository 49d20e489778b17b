//! Which subgraphs an operator runs, and that no subgraph runs itself.

use super::error::{LoadError, Place};
use super::graph::{OperatorKind, Subgraph};
use crate::schema::tflite::{self as schema, BuiltinOperator};

/// How many levels of subgraphs that run subgraphs a model may have. Converters nest as deep as the source program does;
/// each level takes some stack while the model runs.
pub const MAX_CALL_DEPTH: usize = 32;

/// The subgraphs that an operator runs, as the file numbers them; none where its option table is absent.
pub(super) fn called(kind: &OperatorKind, table: schema::Operator<'_>) -> Vec<i32> {
    let OperatorKind::Builtin(code) = kind else {
        return Vec::new();
    };
    match *code {
        BuiltinOperator::IF => table
            .builtin_options_as_if_options()
            .map(|o| vec![o.then_subgraph_index(), o.else_subgraph_index()]),
        BuiltinOperator::WHILE => table
            .builtin_options_as_while_options()
            .map(|o| vec![o.cond_subgraph_index(), o.body_subgraph_index()]),
        BuiltinOperator::CALL_ONCE => table
            .builtin_options_as_call_once_options()
            .map(|o| vec![o.init_subgraph_index()]),
        _ => None,
    }
    .unwrap_or_default()
}

/// Refuses subgraphs that run themselves, directly or through others, and chains of calls beyond [`MAX_CALL_DEPTH`].
pub(super) fn check_calls(subgraphs: &[Subgraph]) -> Result<(), LoadError> {
    /// A subgraph on the way down, and the next of its calls.
    struct Level {
        subgraph: usize,
        next: usize,
        depth_below: usize,
    }
    let calls: Vec<Vec<(usize, usize)>> = subgraphs.iter().map(calls_of).collect();
    // By subgraph: how many levels of calls lie below it, once that is known.
    let mut depths: Vec<Option<usize>> = vec![None; subgraphs.len()];
    let mut on_the_way = vec![false; subgraphs.len()];
    let level = |subgraph| Level {
        subgraph,
        next: 0,
        depth_below: 0,
    };
    for root in 0..subgraphs.len() {
        if depths[root].is_some() {
            continue;
        }
        let mut way = vec![level(root)];
        on_the_way[root] = true;
        while let Some(here) = way.last_mut() {
            let Some(&(operator, callee)) = calls[here.subgraph].get(here.next) else {
                let Level {
                    subgraph,
                    depth_below,
                    ..
                } = *here;
                way.pop();
                on_the_way[subgraph] = false;
                depths[subgraph] = Some(depth_below);
                continue;
            };
            let place = Place {
                subgraph: here.subgraph,
                operator: Some(operator),
            };
            match depths[callee] {
                Some(below) => {
                    here.depth_below = here.depth_below.max(below + 1);
                    here.next += 1;
                    if here.depth_below > MAX_CALL_DEPTH {
                        return Err(LoadError::CallDepth {
                            place,
                            limit: MAX_CALL_DEPTH,
                        });
                    }
                }
                None if on_the_way[callee] => return Err(LoadError::Recursion { place, callee }),
                None => {
                    on_the_way[callee] = true;
                    way.push(level(callee));
                }
            }
        }
    }
    Ok(())
}

/// The calls of a subgraph: operator and callee, each callee once.
fn calls_of(subgraph: &Subgraph) -> Vec<(usize, usize)> {
    let mut calls = Vec::new();
    for (number, operator) in subgraph.operators.iter().enumerate() {
        calls.extend(operator.calls.iter().map(|&callee| (number, callee)));
    }
    calls.sort_unstable_by_key(|&(number, callee)| (callee, number));
    calls.dedup_by_key(|&mut (_, callee)| callee);
    calls
}
