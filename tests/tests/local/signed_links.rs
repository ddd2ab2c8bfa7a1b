//! Links to files of a sandbox that contain a signature instead of the access token.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::raw_calls::{create, kill, shell, token};
use crate::test_platform::TestPlatform;

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_link_selects_its_sandbox() {
    let platform = TestPlatform::with(|builder| builder).await;
    let (other, sandbox) = (
        create(&platform, "base", json!({})).await,
        create(&platform, "base", json!({})).await,
    );
    shell(&platform, &other, "echo other > ~/file").await;
    shell(&platform, &sandbox, "echo wanted > ~/file").await;
    let link = |text: &str, more: &str| {
        let digest = Sha256::digest(text.as_bytes());
        let signature = STANDARD_NO_PAD.encode(digest).replace('+', "%2B");
        format!("/files?path=file&username=user&signature=v1_{signature}{more}")
    };
    let secret = token(&sandbox);
    let good = link(&format!("file:read:user:{secret}"), "");
    let read = platform.request_without_key("GET", &good, &[], b"").await;
    assert_eq!((read.status, &*read.body), (200, &b"wanted\n"[..]));
    let end = 4_000_000_000_u64;
    let text = format!("file:read:user:{secret}:{end}");
    let timed = link(&text, &format!("&signature_expiration={end}"));
    assert_eq!(
        platform
            .request_without_key("GET", &timed, &[], b"")
            .await
            .status,
        200
    );

    let text = format!("file:read:user:{secret}:5");
    let expired = link(&text, "&signature_expiration=5");
    let forged = link("file:read:user:guess", "");
    for (path, message) in [(&expired, "expired"), (&forged, "signature")] {
        let refused = platform.request_without_key("GET", path, &[], b"").await;
        assert_eq!(refused.status, 401, "{refused:?}");
        assert!(
            refused.json()["message"]
                .as_str()
                .unwrap()
                .contains(message),
            "{refused:?}"
        );
    }
    // A link for reading does not allow writing.
    assert_eq!(
        platform
            .request_without_key("POST", &good, &[], b"x")
            .await
            .status,
        401
    );
    for sandbox in [&other, &sandbox] {
        kill(&platform, sandbox).await;
    }
    platform.stop().await;
}
