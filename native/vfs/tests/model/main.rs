//! Random operations on the engine and on a naive model of it: after each, errno, tree and bytes
//! are compared and the engine's invariants checked. Freezes and restores come in between, and
//! chunks go to a store and are evicted, so that operations wait.
//!
//! `DEVDEV_MODEL_SEED` repeats one run, `DEVDEV_MODEL_STEPS` lengthens it.

mod compare;
mod content;
mod model;
mod world;

use world::World;

fn steps(default: u64) -> u64 {
    let steps = std::env::var("DEVDEV_MODEL_STEPS").ok();
    steps.map_or(default, |steps| steps.parse().expect("a number"))
}

fn run(seed: u64, pages: u64, inodes: u64, steps: u64) {
    println!("DEVDEV_MODEL_SEED={seed} (limits: {pages} pages, {inodes} inodes)");
    let mut world = World::new(seed, pages, inodes);
    for step in 0..steps {
        world.step();
        if step % 50 == 0 {
            world.compare_all();
        }
    }
    world.compare_all();
}

fn seeds(base: u64, count: u64) -> Vec<u64> {
    match std::env::var("DEVDEV_MODEL_SEED") {
        Ok(seed) => vec![seed.parse().expect("a number")],
        Err(_) => (base..base + count).collect(),
    }
}

#[test]
fn the_engine_does_what_the_model_does() {
    seeds(1, 8).into_iter().for_each(|seed| run(seed, 1 << 20, 1 << 20, steps(4000)));
}

#[test]
fn limits_are_kept_to_the_page() {
    seeds(100, 6).into_iter().for_each(|seed| run(seed, 60, 20, steps(4000)));
}

#[test]
fn equal_runs_give_equal_state() {
    let walk = |seed| {
        let mut world = World::new(seed, 500, 200);
        (0..2000).for_each(|_| world.step());
        world.walk()
    };
    assert_eq!(walk(42), walk(42));
}
