//! Which operators an Edge TPU takes, and where the graph is cut.
//!
//! The compiler maps one part of the graph. Operators in front of it that do not map run first, on the CPU: an input that
//! arrives as floats costs no more than its QUANTIZE. Behind the first operator that does not map, everything that
//! depends on it stays on the CPU; branches that do not depend on it are mapped all the same.

use super::conditions::{Refusal, Support, judge};
use super::{nodes, report};
use crate::model::{EDGE_TPU_OPERATOR, Graph, OperatorKind, Report, Subgraph, rules};
use crate::ops::{FileTensors, KernelChoice, Node, Settings, registry};
use std::collections::BTreeMap;

/// Where an operator would run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On the Edge TPU.
    EdgeTpu,
    /// On the Edge TPU if the compiler finds it, or a RESIZE in front of it, precise enough.
    Uncertain,
    /// On the CPU: it does not map.
    Cpu,
    /// On the CPU, though it maps: it depends on an operator that does not.
    BehindCut,
}

/// What an Edge TPU would take of a model's first subgraph.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Mapping {
    /// By operator, where it would run.
    pub places: Vec<Place>,
    /// How many operators would run on the Edge TPU, at least and at most.
    pub mapped_operators: (usize, usize),
    /// Multiply-accumulate operations of one inference; `None` where the model has errors or an operator without kernel.
    pub macs: Option<u64>,
    /// Those of them that would run on the Edge TPU, at least and at most.
    pub mapped_macs: Option<(u64, u64)>,
    /// The operator behind which the first mapped operators are cut off: its index.
    pub cut: Option<usize>,
    /// Whether the model holds operators that are compiled already.
    pub is_compiled: bool,
}

impl Mapping {
    /// The multiply-accumulate operations that would run on the Edge TPU, in percent of all, at least and at most; `None`
    /// also of models without any.
    pub fn mapped_percent(&self) -> Option<(f64, f64)> {
        let all = self.macs.filter(|&macs| macs > 0)?;
        let (least, most) = self.mapped_macs?;
        Some((percent(least, all), percent(most, all)))
    }

    /// Judges every operator of a graph and adds the findings.
    pub(super) fn of(graph: &Graph, to: &mut Report) -> Self {
        let subgraph = &graph.subgraphs()[0];
        let known = FileTensors(graph, subgraph);
        let all: Vec<Node<'_>> = nodes(graph, 0, &known).collect();
        let support: Vec<Support> = all.iter().map(judge_or_compiled).collect();
        let most = Partition::new(subgraph, &support, true);
        let least = Partition::new(subgraph, &support, false);
        let places: Vec<Place> = (0..all.len())
            .map(
                |index| match (least.is_mapped[index], most.is_mapped[index]) {
                    (true, true) => Place::EdgeTpu,
                    (false, true) => Place::Uncertain,
                    _ if matches!(support[index], Support::Refused(_)) => Place::Cpu,
                    _ => Place::BehindCut,
                },
            )
            .collect();
        let macs = match to.has_errors() {
            true => None,
            false => all.iter().map(macs).collect::<Option<Vec<u64>>>(),
        };
        let macs = macs.as_deref();
        let counts = |is_mapped: &[bool]| is_mapped.iter().filter(|&&is_mapped| is_mapped).count();
        let sum = |is_mapped: &[bool]| {
            let pairs = macs?.iter().zip(is_mapped);
            Some(
                pairs
                    .filter(|(_, mapped)| **mapped)
                    .map(|(macs, _)| macs)
                    .sum(),
            )
        };
        let mapping = Self {
            places,
            mapped_operators: (counts(&least.is_mapped), counts(&most.is_mapped)),
            macs: macs.map(|macs| macs.iter().sum()),
            mapped_macs: sum(&least.is_mapped).zip(sum(&most.is_mapped)),
            cut: most.cut_by.iter().flatten().min().copied(),
            is_compiled: all.iter().any(is_compiled),
        };
        refusals(&all, &support, to);
        cuts(&all, &most, macs, to);
        mapping
    }
}

fn is_compiled(node: &Node<'_>) -> bool {
    matches!(&node.operator().kind, OperatorKind::Custom(name) if name == EDGE_TPU_OPERATOR)
}

fn judge_or_compiled(node: &Node<'_>) -> Support {
    match is_compiled(node) {
        true => Support::Maps,
        false => judge(node),
    }
}

/// The multiply-accumulate operations of an operator.
fn macs(node: &Node<'_>) -> Option<u64> {
    if is_compiled(node) {
        return None;
    }
    let settings = Settings {
        kernels: KernelChoice::Reference,
        ..Settings::default()
    };
    let def = registry::find(node)?;
    let prepared = (def.prepare)(node, &settings);
    // What cannot be prepared without an inference's values is no convolution.
    Some(prepared.map_or(0, |prepared| prepared.work.macs))
}

/// One way to divide the graph.
struct Partition {
    is_mapped: Vec<bool>,
    /// By operator that maps and is cut off, the operator that cuts it off.
    cut_by: Vec<Option<usize>>,
}

impl Partition {
    /// `perhaps` says whether operators that the compiler may map are mapped.
    fn new(subgraph: &Subgraph, support: &[Support], perhaps: bool) -> Self {
        let mut partition = Self {
            is_mapped: vec![false; support.len()],
            cut_by: vec![None; support.len()],
        };
        // By tensor: whether a mapped operator stands in front of it, and who keeps its readers on the CPU.
        let mut is_behind_mapped = vec![false; subgraph.tensors.len()];
        let mut cut_by: Vec<Option<usize>> = vec![None; subgraph.tensors.len()];
        for (index, operator) in subgraph.operators.iter().enumerate() {
            let inputs = || operator.inputs.iter().flatten();
            let is_behind = inputs().any(|&input| is_behind_mapped[input]);
            let cut = inputs().filter_map(|&input| cut_by[input]).min();
            let maps = match support[index] {
                Support::Maps => true,
                Support::Perhaps => perhaps,
                Support::Refused(_) => false,
            };
            partition.is_mapped[index] = maps && cut.is_none();
            partition.cut_by[index] = cut.filter(|_| maps);
            for &output in &operator.outputs {
                is_behind_mapped[output] = is_behind || partition.is_mapped[index];
                cut_by[output] = cut.or((!maps && is_behind).then_some(index));
            }
        }
        partition
    }
}

/// Adds a finding per kind of operator and reason, at the first operator of its kind.
fn refusals(nodes: &[Node<'_>], support: &[Support], to: &mut Report) {
    let mut same: BTreeMap<(String, &str, String), Vec<usize>> = BTreeMap::new();
    for (index, (node, support)) in nodes.iter().zip(support).enumerate() {
        let kind = node.operator().kind.to_string();
        match support {
            Support::Maps => {}
            Support::Perhaps => {
                let key = (kind, rules::EDGETPU_UNCERTAIN.id, String::new());
                same.entry(key).or_default().push(index);
            }
            Support::Refused(refusal) => {
                let key = (kind, refusal.rule.id, refusal.found.clone());
                same.entry(key).or_default().push(index);
            }
        }
    }
    for operators in same.values() {
        let first = operators[0];
        let uncertain = || Refusal {
            rule: rules::EDGETPU_UNCERTAIN,
            tensor: nodes[first].operator().outputs.first().copied(),
            found: sizes(&nodes[first]),
            expected: "a size that keeps precision".to_owned(),
        };
        let refusal = match &support[first] {
            Support::Refused(refusal) => refusal.clone(),
            _ => uncertain(),
        };
        let found = match operators.len() {
            1 => refusal.found,
            n => format!("{} in {n} operators", refusal.found),
        };
        report(
            &nodes[first],
            refusal.tensor,
            refusal.rule,
            found,
            refusal.expected,
            to,
        );
    }
}

fn sizes(node: &Node<'_>) -> String {
    match (node.input(0, "input"), node.output(0, "output")) {
        (Ok(input), Ok(output)) => format!("{} to {}", input.shape, output.shape),
        _ => "a size unknown".to_owned(),
    }
}

/// Adds a finding per operator that cuts off others.
fn cuts(nodes: &[Node<'_>], partition: &Partition, macs: Option<&[u64]>, to: &mut Report) {
    let mut behind: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, cut) in partition.cut_by.iter().enumerate() {
        if let Some(cut) = cut {
            behind.entry(*cut).or_default().push(index);
        }
    }
    for (cut, operators) in behind {
        let mut found = format!("{} operator(s) behind it that map", operators.len());
        if let Some(macs) = macs {
            let all: u64 = macs.iter().sum();
            let lost: u64 = operators.iter().map(|&operator| macs[operator]).sum();
            found += &format!(
                ", with {:.1} % of the multiply-accumulates",
                percent(lost, all)
            );
        }
        report(&nodes[cut], None, rules::EDGETPU_CUT, found, "none", to);
    }
}

/// Part of a whole, in percent; 0 of nothing.
fn percent(part: u64, whole: u64) -> f64 {
    // Rounding to float64 changes nothing that a percentage shows.
    100.0 * part as f64 / whole.max(1) as f64
}
