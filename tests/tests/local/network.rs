//! Sandboxes without internet access.

use ppio_sandbox_local::IsolationKind;
use serde_json::json;

use crate::isolation_mode::IsolationMode;
use crate::raw_calls::{call, create, id, kill, shell};
use crate::test_platform::TestPlatform;

/// The shell command that lists the interfaces of a sandbox's network.
const INTERFACES: &str = "ls /proc/sys/net/ipv4/conf";

#[tokio::test(flavor = "multi_thread")]
async fn internet_access_is_disabled_or_the_sandbox_is_refused() {
    for mode in IsolationMode::all() {
        let platform = TestPlatform::start(mode).await;
        for offline in [
            json!({"allow_internet_access": false}),
            json!({"allowInternetAccess": false}),
            json!({"network": {"allowInternetAccess": false}}),
            json!({"network": {"denyOut": ["0.0.0.0/0"]}}),
        ] {
            let mut body = json!({"templateID": "base"});
            body.as_object_mut()
                .unwrap()
                .extend(offline.as_object().unwrap().clone());
            let created = call(&platform, "POST", "/sandboxes", &body).await;
            if mode.isolation == IsolationKind::ProcessGroup {
                assert_eq!(created.status, 501, "{mode:?} {offline}: {created:?}");
                let message = created.json()["message"].to_string();
                assert!(message.contains("process groups"), "{message}");
                continue;
            }
            assert_eq!(created.status, 201, "{mode:?} {offline}: {created:?}");
            let sandbox = created.json();
            let path = format!("/sandboxes/{}", id(&sandbox));
            let detail = platform.request("GET", &path, &[], b"").await.json();
            assert_eq!(detail["allowInternetAccess"], false, "{detail}");
            let interfaces = shell(&platform, &sandbox, INTERFACES).await;
            assert_eq!(interfaces, "all\ndefault\nlo\n", "{mode:?} {offline}");

            // The network access of a sandbox cannot be changed later.
            let network = format!("{path}/network");
            for (rules, status) in [
                (json!({}), 501),
                (json!({"allow_internet_access": false}), 204),
            ] {
                let answer = call(&platform, "PUT", &network, &rules).await;
                assert_eq!(answer.status, status, "{rules}: {answer:?}");
            }
            kill(&platform, &sandbox).await;
        }
        // A new sandbox with internet access is not one that was prepared without it.
        let sandbox = create(&platform, "base", json!({})).await;
        let path = format!("/sandboxes/{}", id(&sandbox));
        let detail = platform.request("GET", &path, &[], b"").await.json();
        assert_eq!(detail["allowInternetAccess"], true, "{detail}");
        let own = std::fs::read_link("/proc/self/ns/net").unwrap();
        let namespace = shell(&platform, &sandbox, "readlink /proc/self/ns/net").await;
        assert_eq!(namespace.trim(), own.to_str().unwrap(), "{mode:?}");
        kill(&platform, &sandbox).await;
        platform.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_without_internet_access_never_gains_it() {
    let modes = IsolationMode::all().into_iter();
    for mode in modes.filter(|mode| mode.isolation == IsolationKind::Bubblewrap) {
        let platform = TestPlatform::start(mode).await;
        let sandbox = create(&platform, "base", json!({"allow_internet_access": false})).await;
        let path = format!("/sandboxes/{}", id(&sandbox));
        for memory in [true, false] {
            let pause = call(
                &platform,
                "POST",
                &format!("{path}/pause"),
                &json!({"memory": memory}),
            )
            .await;
            assert_eq!(pause.status, 204, "{pause:?}");
            let resume = call(
                &platform,
                "POST",
                &format!("{path}/resume"),
                &json!({"timeout": 300}),
            )
            .await;
            assert_eq!(resume.status, 201, "{resume:?}");
            let interfaces = shell(&platform, &sandbox, INTERFACES).await;
            assert_eq!(interfaces, "all\ndefault\nlo\n", "memory {memory}");
        }
        let forks = call(&platform, "POST", &format!("{path}/fork"), &json!({})).await;
        let fork = forks.json()[0]["sandbox"].clone();
        let interfaces = shell(&platform, &fork, INTERFACES).await;
        assert_eq!(interfaces, "all\ndefault\nlo\n", "of a fork");
        kill(&platform, &fork).await;
        kill(&platform, &sandbox).await;
        platform.stop().await;
    }
}
