//! The registration of a function for WebSockets; a compile error without the feature `websocket`.

/// Expands to the registration that `#[websocket]` generates. The code that `#[websocket]`
/// generates is compiled in the user's crate, where it cannot test the features of the runtime.
#[cfg(feature = "websocket")]
#[doc(hidden)]
#[macro_export]
macro_rules! __websocket_registration {
    ($($registration:tt)*) => {
        $($registration)*
    };
}

/// Expands to a compile error, since the feature `websocket` is off.
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
