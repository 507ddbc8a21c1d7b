//! Where the repository is, and what cargo knows about it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use serde_json::Value;

use crate::run;

/// The repository as `cargo metadata` describes it.
pub(crate) struct Workspace {
    root: PathBuf,
    target_dir: PathBuf,
    members: Vec<Member>,
}

/// One crate of ours.
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) manifest: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
    /// The names of its integration test binaries.
    pub(crate) test_binaries: Vec<String>,
}

/// One dependency as a manifest declares it.
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// False for dev-dependencies and build-dependencies.
    pub(crate) is_normal: bool,
    /// True for a crate of this workspace.
    pub(crate) is_ours: bool,
}

impl Workspace {
    /// Asks cargo about the workspace that this program was built from.
    pub(crate) fn locate() -> anyhow::Result<Self> {
        // cargo sets it at run time; the path of the build machine is not baked in.
        let own_folder = std::env::var_os("CARGO_MANIFEST_DIR")
            .map(PathBuf::from)
            .context("start this program as `cargo xtask`")?;
        let metadata = run::output(
            cargo().args(["metadata", "--format-version", "1", "--no-deps"]).current_dir(own_folder),
        )?;
        let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata is not JSON")?;
        Ok(Self {
            root: PathBuf::from(text(&metadata["workspace_root"])),
            target_dir: PathBuf::from(text(&metadata["target_directory"])),
            members: list(&metadata["packages"]).map(Member::read).collect(),
        })
    }

    /// The repository's top folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where cargo builds, and where these commands keep what can be made again.
    pub(crate) fn target_dir(&self) -> &Path {
        &self.target_dir
    }

    /// All crates of the workspace.
    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// cargo, to be run in the repository's top folder.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = cargo();
        command.current_dir(&self.root);
        command
    }
}

impl Member {
    fn read(package: &Value) -> Self {
        Self {
            name: text(&package["name"]),
            manifest: PathBuf::from(text(&package["manifest_path"])),
            dependencies: list(&package["dependencies"])
                .map(|dependency| Dependency {
                    name: text(&dependency["name"]),
                    is_normal: dependency["kind"].is_null(),
                    is_ours: dependency["path"].is_string(),
                })
                .collect(),
            test_binaries: list(&package["targets"])
                .filter(|target| list(&target["kind"]).any(|kind| kind == "test"))
                .map(|target| text(&target["name"]))
                .collect(),
        }
    }
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
