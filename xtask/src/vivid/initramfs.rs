//! The machine's whole system, in one archive that the kernel unpacks into memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::packages::find_on_path;
use crate::run;

/// What the console shows before the test program's exit code.
pub(crate) const EXIT_LINE: &str = "LONGTAKE_VIVID_EXIT=";

/// What the machine's shell has to run, in its top folder.
pub(crate) const INIT_SCRIPT: &str = "init.sh";

/// Builds the archive from scratch and returns where it is.
pub(crate) fn build(
    folder: &Path,
    modules: &[PathBuf],
    program: &Path,
    args: &[String],
) -> anyhow::Result<PathBuf> {
    let root = folder.join("root");
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    for name in ["bin", "dev", "proc", "sys", "tmp", "out", "modules"] {
        fs::create_dir_all(root.join(name))?;
    }
    let busybox = find_on_path("busybox").context("busybox is not on the PATH")?;
    fs::copy(&busybox, root.join("bin/busybox"))?;
    fs::copy(&busybox, root.join("bin/sh"))?;
    add_program(&root, &find_on_path("v4l2-ctl").context("v4l2-ctl is not on the PATH")?, "bin/v4l2-ctl")?;
    add_program(&root, program, "bin/test-program")?;
    let mut module_names = Vec::new();
    for module in modules {
        module_names.push(add_module(&root, module)?);
    }
    fs::write(root.join(INIT_SCRIPT), init_script(&module_names, args))?;
    let archive = folder.join("initramfs.cpio");
    pack(&root, &archive)?;
    Ok(archive)
}

/// Copies a program, without its debug information, and every library that the loader would look for.
fn add_program(root: &Path, program: &Path, place: &str) -> anyhow::Result<()> {
    let copy = root.join(place);
    run::output(Command::new("strip").arg("-o").arg(&copy).arg(program))?;
    for library in libraries(program)? {
        let copy = root.join(library.strip_prefix("/").unwrap_or(&library));
        if !copy.exists() {
            if let Some(parent) = copy.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::copy(&library, &copy)
                .with_context(|| format!("cannot copy the library {}", library.display()))?;
        }
    }
    Ok(())
}

fn libraries(program: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let listing = run::output(Command::new("ldd").arg(program))?;
    if let Some(line) = listing.lines().find(|line| line.contains("not found")) {
        bail!("{} lacks a library: {}", program.display(), line.trim());
    }
    Ok(loader_paths(&listing))
}

/// The absolute paths in what `ldd` prints: `name => /path (address)`, or `/path (address)` for the loader itself.
fn loader_paths(listing: &str) -> Vec<PathBuf> {
    listing
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
        .map(PathBuf::from)
        .collect()
}

/// Copies a module, unpacked, and returns its file name: busybox cannot load compressed ones.
fn add_module(root: &Path, module: &Path) -> anyhow::Result<String> {
    let name = module.file_name().and_then(|name| name.to_str()).context("a module without a name")?;
    let (plain_name, unpacker) = match name.rsplit_once('.') {
        Some((plain, "xz")) => (plain, Some("xz")),
        Some((plain, "zst")) => (plain, Some("zstd")),
        Some((plain, "gz")) => (plain, Some("gzip")),
        _ => (name, None),
    };
    let copy = root.join("modules").join(plain_name);
    match unpacker {
        None => {
            fs::copy(module, copy)?;
        }
        Some(unpacker) => {
            let unpacked = Command::new(unpacker)
                .arg("-dc")
                .arg(module)
                .stdout(fs::File::create(copy)?)
                .status()
                .with_context(|| format!("cannot start {unpacker}"))?;
            if !unpacked.success() {
                bail!("{unpacker} cannot unpack {}", module.display());
            }
        }
    }
    Ok(plain_name.to_owned())
}

/// The first program of the machine: it prepares the camera, runs the test program and switches the machine off.
fn init_script(modules: &[String], args: &[String]) -> String {
    let mut script = String::from(
        "/bin/busybox --install -s /bin\n\
         export PATH=/bin HOME=/tmp TMPDIR=/tmp\n\
         mount -t proc proc /proc\n\
         mount -t sysfs sysfs /sys\n\
         mount -t devtmpfs devtmpfs /dev\n",
    );
    for module in modules {
        // One webcam and nothing else: one device, only a capture node, one input of the webcam kind.
        let parameters = match module.as_str() {
            "vivid.ko" => " n_devs=1 node_types=0x1 input_types=0x0",
            _ => "",
        };
        script += &format!("insmod /modules/{module}{parameters}\n");
    }
    // Frames are stamped at the end of their exposure; by default vivid stamps them ahead of time.
    script += "v4l2-ctl -d0 -c timestamp_source=1\n";
    script += "cd /tmp\n";
    script += "export LONGTAKE_VIVID=1 LONGTAKE_VIVID_OUT=/out RUST_BACKTRACE=1\n";
    script += "/bin/test-program --nocapture --test-threads=1";
    for arg in args {
        script += &format!(" '{}'", arg.replace('\'', "'\\''"));
    }
    script += " </dev/null\n";
    script += &format!("code=$?\necho\necho {EXIT_LINE}$code\n");
    // The disk carries a bare archive: no file system is needed on either side.
    script += "tar -cf /dev/vda -C /out . || echo 'the results do not fit on the disk'\n";
    script += "sync\npoweroff -f\n";
    script
}

fn pack(root: &Path, archive: &Path) -> anyhow::Result<()> {
    let mut find = Command::new("find")
        .arg(".")
        .current_dir(root)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start find")?;
    let names = find.stdout.take().context("find has no output")?;
    let packed = Command::new("cpio")
        .args(["--quiet", "-o", "-H", "newc"])
        .current_dir(root)
        .stdin(names)
        .stdout(fs::File::create(archive)?)
        .status()
        .context("cannot start cpio")?;
    if !find.wait()?.success() || !packed.success() {
        bail!("the machine's files cannot be packed");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loaders_paths_are_found_in_each_form_of_line() {
        let listing = "\tlinux-vdso.so.1 (0x00007ffc)\n\
            \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f1d)\n\
            \t/lib64/ld-linux-x86-64.so.2 (0x00007f1e)\n";
        assert_eq!(
            loader_paths(listing),
            [PathBuf::from("/lib/x86_64-linux-gnu/libc.so.6"), PathBuf::from("/lib64/ld-linux-x86-64.so.2"),]
        );
    }

    #[test]
    fn arguments_reach_the_test_program_as_they_are() {
        let script = init_script(&[], &["it's one".to_owned()]);
        assert!(script.contains(r"--test-threads=1 'it'\''s one' <"), "{script}");
    }

    #[test]
    fn only_vivid_gets_the_webcams_parameters() {
        let script = init_script(&["mc.ko".to_owned(), "vivid.ko".to_owned()], &[]);
        assert!(script.contains("insmod /modules/mc.ko\n"));
        assert!(script.contains("insmod /modules/vivid.ko n_devs=1"));
    }
}
