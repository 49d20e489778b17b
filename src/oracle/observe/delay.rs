//! When quantization begins and batch normalization freezes.

/// Counts runs of a training graph as `tf.contrib.quantize` does.
///
/// The counter (`fake_quantization_step`) is the graph's own, not the optimizer's: whatever runs the graph, an evaluation
/// or a summary too, advances it. It is incremented first and compared then, with "at least": `quant_delay` 2 quantizes
/// from the second run on. Ranges are observed from the first run, whatever the delay.
///
/// Source: `common.py`, `quantize.py` and `fold_batch_norms.py`, TensorFlow 1.13.1.
///
/// ```
/// use corallite::oracle::observe::RunCounter;
/// let mut counter = RunCounter::new(Some(2), None);
/// assert!(!counter.begin().quantizes);
/// assert!(counter.begin().quantizes);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunCounter {
    runs: u64,
    quant_delay: Option<u64>,
    freeze_bn_delay: Option<u64>,
}

/// What holds in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its number, 1 for the first.
    pub number: u64,
    /// Whether FakeQuant nodes round; before, they only observe.
    pub quantizes: bool,
    /// Whether batch normalization uses the moving statistics and leaves them as they are.
    pub frozen: bool,
}

impl RunCounter {
    /// A counter before the first run. No `quant_delay`, or 0, quantizes at once; no `freeze_bn_delay` never freezes,
    /// while 0 freezes at once.
    pub fn new(quant_delay: Option<u64>, freeze_bn_delay: Option<u64>) -> Self {
        Self {
            runs: 0,
            quant_delay,
            freeze_bn_delay,
        }
    }

    /// Counts a run and tells what holds in it.
    pub fn begin(&mut self) -> Run {
        self.runs = self.runs.saturating_add(1);
        Run {
            number: self.runs,
            quantizes: self.quant_delay.is_none_or(|delay| self.runs >= delay),
            frozen: self.freeze_bn_delay.is_some_and(|delay| self.runs >= delay),
        }
    }

    /// Runs so far.
    pub fn runs(&self) -> u64 {
        self.runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_begin_in_the_run_of_their_number() {
        let flags = |mut counter: RunCounter| -> Vec<(bool, bool)> {
            (0..4)
                .map(|_| counter.begin())
                .map(|run| (run.quantizes, run.frozen))
                .collect()
        };
        let delayed = flags(RunCounter::new(Some(2), Some(4)));
        assert_eq!(
            delayed,
            [(false, false), (true, false), (true, false), (true, true)]
        );
        assert_eq!(flags(RunCounter::new(None, None)), [(true, false); 4]);
        assert_eq!(flags(RunCounter::new(Some(0), Some(0))), [(true, true); 4]);
    }
}
