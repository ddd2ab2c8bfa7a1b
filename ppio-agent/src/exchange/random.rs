//! Random numbers: secret ones for ids that give access, and fast ones for other ids.

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

/// Returns 128 random bits from the operating system. Nothing is buffered: processes that are
/// resumed from the same memory snapshot would share the buffer.
///
/// # Panics
/// If the system provides no random numbers; the hash maps of `std` panic in that case as well.
pub(crate) fn secret() -> u128 {
    let mut bytes = [0; 16];
    if let Err(error) = getrandom::fill(&mut bytes) {
        panic!("cannot read random numbers of the operating system: {error}");
    }
    u128::from_ne_bytes(bytes)
}

/// Returns 128 bits; only the first call on a thread may need a system call. Each number can be
/// computed from earlier ones.
pub(crate) fn predictable() -> u128 {
    thread_local! {
        /// The states of two generators: two threads that reach the same state of one generator
        /// almost certainly have different states of the other.
        static STATES: Cell<[u64; 2]> = Cell::new([seed(), seed()]);
    }
    STATES.with(|states| {
        let next = states.get().map(|state| state.wrapping_add(INCREMENT));
        states.set(next);
        let [high, low] = next.map(mixed);
        u128::from(high) << 64 | u128::from(low)
    })
}

/// Returns a number that almost certainly differs for every call and process. Processes that are
/// resumed from the same memory snapshot may return the same number.
fn seed() -> u64 {
    RandomState::new().hash_one(())
}

/// The increment of the generator `SplitMix64`, <https://prng.di.unimi.it/splitmix64.c>.
const INCREMENT: u64 = 0x9e37_79b9_7f4a_7c15;

fn mixed(state: u64) -> u64 {
    let state = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ state >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ state >> 31
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn numbers_do_not_repeat() {
        for random in [secret, predictable] {
            let threads = [0; 4].map(|_| {
                std::thread::spawn(move || (0..10_000).map(|_| random()).collect::<Vec<_>>())
            });
            let numbers = threads.map(|thread| thread.join().unwrap());
            let all: HashSet<u128> = numbers.into_iter().flatten().collect();
            assert_eq!(all.len(), 40_000);
            // Each bit is 0 in one number and 1 in another.
            assert_eq!(all.iter().fold(0, |bits, number| bits | number), u128::MAX);
            assert_eq!(all.iter().fold(u128::MAX, |bits, number| bits & number), 0);
        }
    }

    #[test]
    fn the_fast_generator_is_splitmix64() {
        let numbers = [1, 2, 3].map(|step: u64| mixed(step.wrapping_mul(INCREMENT)));
        assert_eq!(
            numbers,
            [
                0xe220_a839_7b1d_cdaf,
                0x6e78_9e6a_a1b9_65f4,
                0x06c4_5d18_8009_454f
            ]
        );
    }
}
