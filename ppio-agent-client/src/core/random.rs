//! Random ids, idempotency keys and form boundaries. An idempotency key must not be guessable,
//! because an agent or a platform returns an earlier response to any caller that sends the key of
//! the earlier call.

/// Returns 128 random bits from the operating system.
///
/// # Panics
/// If the system cannot provide random numbers; the hash maps of `std` panic then too.
fn bits() -> [u8; 16] {
    let mut bytes = [0; 16];
    if let Err(error) = getrandom::fill(&mut bytes) {
        panic!("cannot read random numbers of the operating system: {error}");
    }
    bytes
}

/// Returns 128 random bits in hexadecimal.
pub(crate) fn hex() -> String {
    format!("{:032x}", u128::from_ne_bytes(bits()))
}

/// Returns a random (version 4) UUID.
pub(crate) fn uuid() -> String {
    let id = uuid::Builder::from_random_bytes(bits()).into_uuid();
    id.hyphenated().to_string()
}
