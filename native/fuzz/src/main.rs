//! `devdev-fuzz SECONDS [SEED [TARGET]]`: fuzzes every target, or one, in turns. Prints the seed;
//! an input on which a target panics, or takes too much time or memory, is written to `artifacts/`
//! beside this crate.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use devdev_fuzz::{Crash, Fuzzer, targets};

/// Inputs between two looks at the clock.
const TURN: u64 = 64;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let mut number = |default: u64| match args.next() {
        None => Some(default),
        Some(text) => text.parse().ok(),
    };
    let clock = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |t| t.as_secs());
    let (Some(seconds), Some(seed)) = (number(60), number(clock)) else {
        eprintln!("usage: devdev-fuzz [SECONDS [SEED [TARGET]]]");
        return ExitCode::from(2);
    };
    let only = args.next();
    let chosen = targets().into_iter().filter(|t| only.as_deref().is_none_or(|o| o == t.name));
    let watched = |target| {
        let mut fuzzer = Fuzzer::new(target, seed);
        fuzzer.watched = true;
        fuzzer
    };
    let mut fuzzers: Vec<Fuzzer> = chosen.map(watched).collect();
    if fuzzers.is_empty() {
        let names: Vec<_> = targets().iter().map(|t| t.name).collect();
        eprintln!("no such target; there are {}", names.join(", "));
        return ExitCode::from(2);
    }
    println!("fuzz: {seconds} s, seed {seed}");
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        for fuzzer in &mut fuzzers {
            for _ in 0..TURN {
                if let Err(crash) = fuzzer.round() {
                    return report(fuzzer.target.name, seed, &crash);
                }
            }
        }
    }
    for Fuzzer { target, rounds, taken, .. } in &fuzzers {
        println!("fuzz: {:8} {rounds} inputs, {taken} taken", target.name);
    }
    ExitCode::SUCCESS
}

fn report(target: &str, seed: u64, Crash { what, round, input }: &Crash) -> ExitCode {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("artifacts");
    let file = dir.join(format!("{target}-{seed}-{round}"));
    let written = std::fs::create_dir_all(&dir).and_then(|()| std::fs::write(&file, input));
    println!("fuzz: {target} {what} in round {round} of seed {seed}");
    match written {
        Ok(()) => println!("fuzz: the input is in {}", file.display()),
        Err(error) => println!("fuzz: the input could not be written: {error}"),
    }
    ExitCode::FAILURE
}
