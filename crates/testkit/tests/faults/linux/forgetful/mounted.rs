//! A [`Disk`] as programs see it: mounted, by FUSE.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use fastrand::Rng;
use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use rustix::mount::{UnmountFlags, unmount};
use tempfile::TempDir;

use super::{Disk, Refusal};

/// Nobody but the kernel changes anything, so that it may remember all it knows.
const TTL: Duration = Duration::from_secs(3_600);

/// A folder whose power can be cut.
#[derive(Debug)]
pub(in super::super) struct ForgetfulDisk {
    folder: TempDir,
    disk: Arc<Mutex<Disk>>,
    session: Option<BackgroundSession>,
}

impl ForgetfulDisk {
    pub(in super::super) fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut made = Self { folder, disk: Arc::new(Mutex::new(Disk::empty())), session: None };
        made.mount()?;
        Ok(made)
    }

    pub(in super::super) fn path(&self) -> &Path {
        self.folder.path()
    }

    fn mount(&mut self) -> Result<()> {
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("longtake-test".to_owned())];
        let session = fuser::spawn_mount(Mounted(Arc::clone(&self.disk)), self.path(), &config);
        self.session = Some(session.context("FUSE mounts a folder; it needs /dev/fuse")?);
        Ok(())
    }

    fn unmount(&mut self) {
        // Programs may still have files open: each call of theirs fails.
        let _ = unmount(self.folder.path(), UnmountFlags::DETACH);
        drop(self.session.take());
    }

    /// Cuts the power. Whatever a program does from now on fails; yields what brings it back.
    pub(in super::super) fn cut(&self, rng: &mut Rng) -> Survivor {
        Survivor(lock(&self.disk).cut(rng))
    }

    /// The power is back. Those who used the disk must have been killed.
    pub(in super::super) fn restart(&mut self, survivor: Survivor) -> Result<()> {
        self.unmount();
        self.disk = Arc::new(Mutex::new(survivor.0));
        self.mount()
    }
}

impl Drop for ForgetfulDisk {
    fn drop(&mut self) {
        self.unmount();
    }
}

/// What is on a disk after its power was cut.
#[derive(Debug)]
pub(in super::super) struct Survivor(Disk);

fn lock(disk: &Mutex<Disk>) -> MutexGuard<'_, Disk> {
    disk.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Mounted(Arc<Mutex<Disk>>);

fn errno(refusal: Refusal) -> Errno {
    match refusal {
        Refusal::Off => Errno::EIO,
        Refusal::Missing => Errno::ENOENT,
        Refusal::Exists => Errno::EEXIST,
        Refusal::NotAFolder => Errno::ENOTDIR,
        Refusal::NotEmpty => Errno::ENOTEMPTY,
    }
}

fn attributes(disk: &Disk, node: u64) -> Result<FileAttr, Refusal> {
    let about = disk.about(node)?;
    Ok(FileAttr {
        ino: INodeNo(node),
        size: about.bytes,
        blocks: about.bytes.div_ceil(512),
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: if about.is_folder { FileType::Directory } else { FileType::RegularFile },
        perm: about.mode,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 4_096,
        flags: 0,
    })
}

/// Names of ours are text.
fn text(name: &OsStr) -> &str {
    name.to_str().unwrap_or_default()
}

impl Mounted {
    fn entry(&self, reply: ReplyEntry, act: impl FnOnce(&mut Disk) -> Result<u64, Refusal>) {
        let mut disk = lock(&self.0);
        match act(&mut disk).and_then(|node| attributes(&disk, node)) {
            Ok(attributes) => reply.entry(&TTL, &attributes, Generation(0)),
            Err(refusal) => reply.error(errno(refusal)),
        }
    }

    fn empty(&self, reply: ReplyEmpty, act: impl FnOnce(&mut Disk) -> Result<(), Refusal>) {
        match act(&mut lock(&self.0)) {
            Ok(()) => reply.ok(),
            Err(refusal) => reply.error(errno(refusal)),
        }
    }
}

impl Filesystem for Mounted {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.entry(reply, |disk| disk.find(parent.0, text(name)));
    }

    fn getattr(&self, _: &Request, node: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match attributes(&lock(&self.0), node.0) {
            Ok(attributes) => reply.attr(&TTL, &attributes),
            Err(refusal) => reply.error(errno(refusal)),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        node: INodeNo,
        mode: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        length: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<std::time::SystemTime>,
        _: Option<FileHandle>,
        _: Option<std::time::SystemTime>,
        _: Option<std::time::SystemTime>,
        _: Option<std::time::SystemTime>,
        _: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut disk = lock(&self.0);
        let set = mode
            .map_or(Ok(()), |mode| disk.set_mode(node.0, mode as u16 & 0o7777))
            .and_then(|()| length.map_or(Ok(()), |length| disk.set_length(node.0, length)));
        match set.and_then(|()| attributes(&disk, node.0)) {
            Ok(attributes) => reply.attr(&TTL, &attributes),
            Err(refusal) => reply.error(errno(refusal)),
        }
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        let mode = (mode & !umask) as u16 & 0o7777;
        self.entry(reply, |disk| disk.make(parent.0, text(name), mode, true));
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let mut disk = lock(&self.0);
        let mode = (mode & !umask) as u16 & 0o7777;
        let made = disk.make(parent.0, text(name), mode, false);
        match made.and_then(|node| attributes(&disk, node)) {
            Ok(attributes) => {
                reply.created(&TTL, &attributes, Generation(0), FileHandle(0), FopenFlags::empty());
            }
            Err(refusal) => reply.error(errno(refusal)),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.empty(reply, |disk| disk.remove(parent.0, text(name)));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.empty(reply, |disk| disk.remove(parent.0, text(name)));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if parent != new_parent {
            return reply.error(Errno::EXDEV);
        }
        let may_replace = !flags.contains(RenameFlags::RENAME_NOREPLACE);
        self.empty(reply, |disk| match disk.find(parent.0, text(new_name)) {
            Ok(_) if !may_replace => Err(Refusal::Exists),
            _ => disk.rename(parent.0, text(name), text(new_name)),
        });
    }

    fn read(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        offset: u64,
        bytes: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match lock(&self.0).read(node.0, offset, bytes as usize) {
            Ok(content) => reply.data(content),
            Err(refusal) => reply.error(errno(refusal)),
        }
    }

    fn write(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        offset: u64,
        bytes: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match lock(&self.0).write(node.0, offset, bytes) {
            Ok(()) => reply.written(bytes.len() as u32),
            Err(refusal) => reply.error(errno(refusal)),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, node: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.empty(reply, |disk| disk.sync(node.0));
    }

    fn fsyncdir(&self, _: &Request, node: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.empty(reply, |disk| disk.sync(node.0));
    }

    fn readdir(&self, _: &Request, node: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let disk = lock(&self.0);
        let names = match disk.names(node.0) {
            Ok(names) => names,
            Err(refusal) => return reply.error(errno(refusal)),
        };
        for (place, (name, child)) in names.iter().enumerate().skip(offset as usize) {
            let is_folder = disk.about(*child).is_ok_and(|about| about.is_folder);
            let kind = if is_folder { FileType::Directory } else { FileType::RegularFile };
            if reply.add(INodeNo(*child), place as u64 + 1, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let blocks = 1 << 20;
        reply.statfs(blocks, blocks, blocks, blocks, blocks, 4_096, 255, 4_096);
    }
}
