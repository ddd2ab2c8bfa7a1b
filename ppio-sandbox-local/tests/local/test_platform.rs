//! A local platform for one test, and the checks at its end.

use std::fs;

use ppio_sandbox_local::{LocalPlatform, LocalPlatformBuilder};
use ppio_test_support::{RawAnswer, processes_naming, raw_request, sandbox_folders};
use tempfile::TempDir;

/// A running platform with a home of its own.
pub(crate) struct TestPlatform {
    pub(crate) platform: LocalPlatform,
    home: TempDir,
}

impl TestPlatform {
    /// Starts a platform with these settings.
    pub(crate) async fn with(
        settings: impl FnOnce(LocalPlatformBuilder) -> LocalPlatformBuilder,
    ) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let builder = LocalPlatform::builder()
            .home(home.path())
            // The test could not distinguish a prepared sandbox from one that was not removed.
            .prepare_ahead(false);
        let platform = settings(builder)
            .start()
            .await
            .expect("the platform starts");
        Self { platform, home }
    }

    /// Sends one request with the API key and these headers, and reads the answer to its end.
    pub(crate) async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> RawAnswer {
        let key = ("x-api-key", self.platform.api_key());
        let mut all = vec![key];
        all.extend(headers);
        self.request_without_key(method, path, &all, body).await
    }

    /// Like [`TestPlatform::request`], with only these headers.
    pub(crate) async fn request_without_key(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> RawAnswer {
        raw_request(self.platform.address(), method, path, headers, body).await
    }

    /// Returns the directories of sandboxes and builds that exist now.
    pub(crate) fn directories(&self) -> Vec<String> {
        let runs = fs::read_dir(self.home.path().join("run"));
        runs.into_iter()
            .flatten()
            .flatten()
            .flat_map(|run| fs::read_dir(run.path()).into_iter().flatten().flatten())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    }

    /// Ends the platform, and checks that it no longer has a sandbox and leaves neither process nor
    /// file behind.
    pub(crate) async fn stop(self) {
        assert_eq!(self.platform.sandbox_count(), 0, "sandboxes are left");
        assert_eq!(self.directories(), [""; 0], "files of sandboxes are left");
        let home = self.platform.home().to_owned();
        let folders = sandbox_folders(&home);
        self.platform.shutdown().await.expect("a clean end");
        assert_eq!(processes_naming(&folders), [0; 0], "processes are left");
        let runs = fs::read_dir(home.join("run")).expect("the home is there");
        assert_eq!(runs.count(), 0, "files of the platform are left");
    }
}
