//! Debian's (or Ubuntu's) kernel and its modules, taken out of their packages without installing anything.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::packages;
use crate::run;

/// A kernel of the distribution, unpacked.
pub(crate) struct Kernel {
    version: String,
    folder: PathBuf,
}

/// The packages that always depend on the newest kernel: Debian's, then Ubuntu's.
const NEWEST: &[&str] = &["linux-image-amd64", "linux-image-generic"];

impl Kernel {
    /// Downloads and unpacks the newest kernel into `cache`, unless it is there already.
    pub(crate) fn obtain(cache: &Path) -> anyhow::Result<Self> {
        let package = match newest() {
            Some(package) => package,
            None => {
                packages::update_lists()?;
                newest().with_context(|| format!("apt knows none of {}", NEWEST.join(", ")))?
            }
        };
        let version = package.trim_start_matches("linux-image-").to_owned();
        let folder = cache.join(&package);
        let kernel = Self { version, folder };
        if !kernel.folder.exists() {
            kernel.unpack(cache, &package)?;
        }
        Ok(kernel)
    }

    /// The file to boot.
    pub(crate) fn image(&self) -> PathBuf {
        self.folder.join("boot").join(format!("vmlinuz-{}", self.version))
    }

    /// The files of these modules and of all that they need, in the order of loading.
    pub(crate) fn modules(&self, names: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for name in names {
            let listing = run::output(modprobe().arg("-d").arg(&self.folder).args([
                "-S",
                &self.version,
                "--show-depends",
                name,
            ]))
            .with_context(|| format!("the kernel {} has no module {name}", self.version))?;
            for file in insmod_files(&listing) {
                if !files.contains(&file) {
                    files.push(file);
                }
            }
        }
        Ok(files)
    }

    /// Unpacks beside the final place and moves there at the end, so that an interruption leaves nothing half done.
    fn unpack(&self, cache: &Path, package: &str) -> anyhow::Result<()> {
        let staging = cache.join("unpacking");
        if staging.exists() {
            std::fs::remove_dir_all(&staging)?;
        }
        let unpacked = staging.join("kernel");
        std::fs::create_dir_all(&unpacked)?;
        let mut wanted = vec![package.to_owned()];
        // Ubuntu keeps the modules apart from the image, and the rarer ones apart from the others.
        for name in ["linux-modules", "linux-modules-extra"] {
            let name = format!("{name}-{}", self.version);
            if run::succeeds(Command::new("apt-cache").args(["show", "--quiet=2", &name])) {
                wanted.push(name);
            }
        }
        let mut download = Command::new("apt-get");
        download.arg("download").args(&wanted).current_dir(&staging);
        if run::checked(&mut download).is_err() {
            // The lists may name a version that the mirror has replaced since.
            packages::update_lists()?;
            run::checked(&mut download)?;
        }
        for entry in std::fs::read_dir(&staging)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "deb") {
                run::output(Command::new("dpkg").arg("-x").arg(&path).arg(&unpacked))?;
            }
        }
        if !unpacked.join("lib").exists() {
            // Newer packages ship /usr/lib only and rely on the link that every system has.
            std::fs::rename(unpacked.join("usr/lib"), unpacked.join("lib"))
                .context("the kernel package has no modules")?;
        }
        run::output(in_sbin("depmod").arg("-b").arg(&unpacked).arg(&self.version))?;
        std::fs::rename(&unpacked, &self.folder)?;
        std::fs::remove_dir_all(&staging)?;
        if !self.image().exists() {
            bail!("the package {package} has no {}", self.image().display());
        }
        Ok(())
    }
}

/// The package of the newest kernel, if apt knows one.
fn newest() -> Option<String> {
    NEWEST.iter().find_map(|name| {
        let listing = run::output(Command::new("apt-cache").args(["depends", name])).ok()?;
        depends_on_image(&listing)
    })
}

fn depends_on_image(listing: &str) -> Option<String> {
    listing
        .lines()
        .filter_map(|line| line.trim().trim_start_matches('|').strip_prefix("Depends: "))
        .find(|package| package.starts_with("linux-image-"))
        .map(str::to_owned)
}

fn insmod_files(listing: &str) -> Vec<PathBuf> {
    listing
        .lines()
        .filter_map(|line| line.trim().strip_prefix("insmod "))
        .filter_map(|rest| rest.split_whitespace().next())
        .map(PathBuf::from)
        .collect()
}

fn modprobe() -> Command {
    in_sbin("modprobe")
}

/// A program that only root has on the PATH, though everybody may run it for what is done here.
fn in_sbin(name: &str) -> Command {
    Command::new(packages::find_on_path(name).unwrap_or_else(|| Path::new("/sbin").join(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_kernel_is_what_the_metapackage_depends_on() {
        let listing = "linux-image-amd64\n  Depends: linux-image-6.1.0-56-amd64\n";
        assert_eq!(depends_on_image(listing).as_deref(), Some("linux-image-6.1.0-56-amd64"));
        assert_eq!(depends_on_image("linux-image-amd64\n"), None);
    }

    #[test]
    fn modules_are_read_in_order_and_built_in_ones_are_left_out() {
        let listing = "builtin video\ninsmod /k/mc.ko \ninsmod /k/vivid.ko n_devs=1\n";
        assert_eq!(insmod_files(listing), [PathBuf::from("/k/mc.ko"), PathBuf::from("/k/vivid.ko")]);
    }
}
