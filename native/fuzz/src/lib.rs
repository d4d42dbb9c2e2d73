//! Fuzzing without nightly Rust or coverage: targets are plain functions of bytes, mutated from
//! valid examples; inputs that a target takes join the examples. A run is determined by its seed.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod archives;
mod choices;
mod mutate;
mod streams;
mod targets;
mod watch;

use std::panic::{AssertUnwindSafe, catch_unwind};

use devdev_vfs::sample::Random;

pub use targets::{Target, targets};

/// Most examples kept for a target.
const CORPUS: usize = 400;

/// An input on which a target panicked, or took too much.
pub struct Crash {
    /// What it did.
    pub what: String,
    /// How many inputs came before it.
    pub round: u64,
    /// The input.
    pub input: Vec<u8>,
}

/// One target with its examples.
pub struct Fuzzer {
    /// What is fuzzed.
    pub target: Target,
    /// Inputs tried so far.
    pub rounds: u64,
    /// Mutated inputs that the target took.
    pub taken: u64,
    /// Whether memory and time of each input are looked at: nothing else may run beside it then.
    pub watched: bool,
    corpus: Vec<Vec<u8>>,
    seeds: usize,
    random: Random,
}

impl Fuzzer {
    /// Starts with the target's own examples, all of which it must take.
    pub fn new(target: Target, seed: u64) -> Fuzzer {
        let corpus = (target.seeds)();
        for (n, example) in corpus.iter().enumerate() {
            assert!((target.run)(example), "{} refuses its own example {n}", target.name);
        }
        let seeds = corpus.len();
        let random = Random(seed);
        Fuzzer { target, rounds: 0, taken: 0, watched: false, corpus, seeds, random }
    }

    /// Tries one input.
    pub fn round(&mut self) -> Result<(), Crash> {
        let input = mutate::mutate(&self.corpus, &mut self.random, self.target.seal);
        let watch = self.watched.then(watch::Watch::start);
        let run = catch_unwind(AssertUnwindSafe(|| (self.target.run)(&input)));
        self.rounds += 1;
        let round = self.rounds;
        if let Some(what) = watch.and_then(|watch| watch.complaint()) {
            return Err(Crash { what, round, input });
        }
        match run {
            Err(_) => return Err(Crash { what: "panicked".into(), round, input }),
            Ok(false) => {}
            Ok(true) => {
                self.taken += 1;
                if self.corpus.len() < CORPUS {
                    self.corpus.push(input);
                } else {
                    // The target's own examples stay.
                    let spare = (CORPUS - self.seeds) as u64;
                    let at = self.seeds + self.random.below(spare) as usize;
                    self.corpus[at] = input;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_run_of_every_target_finds_nothing() {
        for target in targets() {
            let mut fuzzer = Fuzzer::new(target, 1);
            for _ in 0..400 {
                if let Err(crash) = fuzzer.round() {
                    let Crash { what, round, input } = crash;
                    panic!("{} {what} in {round}: {}", fuzzer.target.name, input.escape_ascii());
                }
            }
            // A mutator that is never taken tests the first check only.
            assert!(fuzzer.taken > 0, "{} took nothing", fuzzer.target.name);
            assert!(fuzzer.taken < fuzzer.rounds, "{} takes anything", fuzzer.target.name);
        }
    }

    #[test]
    fn a_panic_is_caught_with_its_input() {
        let run = |bytes: &[u8]| {
            assert!(bytes.len() < 8, "too long");
            true
        };
        let target = Target { name: "test", run, seeds: || vec![b"seed".to_vec()], seal: false };
        let mut fuzzer = Fuzzer::new(target, 1);
        let crash = (0..100_000).find_map(|_| fuzzer.round().err()).unwrap();
        assert!(crash.input.len() >= 8 && crash.round == fuzzer.rounds);
    }
}
