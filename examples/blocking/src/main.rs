//! Synchronous code: a plain function that computes, and an iterator that computes item by item.
//!
//! Both run on blocking threads, so `/ping` and all other requests are answered in the meantime.
//! The iterator occupies its thread only while it computes, and stops when its caller disconnects.

use ppio::Error;

/// The largest number that is accepted: the square of the largest divisor that is tried.
const LARGEST: u64 = 1_000_000_000_000;

#[derive(serde::Deserialize)]
struct Range {
    from: u64,
    to: u64,
}

/// The primes of a range, one by one.
#[ppio::entrypoint]
fn agent(Range { from, to }: Range) -> Result<impl Iterator<Item = u64>, Error> {
    if to > LARGEST {
        let text = format!("`to` is larger than {LARGEST}");
        return Err(Error::bad_request(text).with_type("RangeTooLarge"));
    }
    // This may take a moment, but no other request waits for this thread.
    let divisors = primes_up_to(to.isqrt());
    let is_prime = move |&number: &u64| {
        let mut divisors = divisors.iter().take_while(|&&it| it * it <= number);
        divisors.all(|divisor| number % divisor != 0)
    };
    Ok((from.max(2)..=to).filter(is_prime))
}

fn primes_up_to(limit: u64) -> Vec<u64> {
    let mut primes: Vec<u64> = Vec::new();
    for number in 2..=limit {
        let mut smaller = primes.iter().take_while(|&&it| it * it <= number);
        if smaller.all(|prime| number % prime != 0) {
            primes.push(number);
        }
    }
    primes
}
