//! The registration of a function for WebSockets; a compile error without the feature `websocket`.

/// Passes on the registration that `#[websocket]` expands to. The expansion cannot see which
/// features the runtime has.
#[cfg(feature = "websocket")]
#[doc(hidden)]
#[macro_export]
macro_rules! __websocket_registration {
    ($($registration:tt)*) => {
        $($registration)*
    };
}

/// Reports that the feature is off.
#[cfg(not(feature = "websocket"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __websocket_registration {
    ($($registration:tt)*) => {
        ::core::compile_error!(
            "`#[ppio::websocket]` requires the feature `websocket` of `ppio-agent`\n\n  = help: \
             write `ppio-agent = { version = \"..\", features = [\"websocket\"] }` in Cargo.toml"
        );
    };
}
