//! A file system that forgets what was not synced when its power is cut. Pure; [`mounted`] gives it to programs.
//!
//! As strict as POSIX permits, so that no promise of one file system is relied on: what was written to a file survives sector by
//! sector, in any selection; a folder's names survive in the order of their changes up to some point, since file systems keep a
//! journal of them; a file's sync makes its content durable but not its name, and a folder's sync its names but nothing in it.

mod mounted;

pub(super) use mounted::ForgetfulDisk;

use std::collections::BTreeMap;

use fastrand::Rng;

/// What a disk writes whole or not at all.
const SECTOR_BYTES: u64 = 512;

pub(super) const ROOT: u64 = 1;

type Names = BTreeMap<String, u64>;

/// Why something cannot be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The power is off.
    Off,
    Missing,
    Exists,
    NotAFolder,
    NotEmpty,
}

/// What has been done to a file since its last sync.
#[derive(Debug, Clone)]
enum Change {
    Write { offset: u64, bytes: Box<[u8]> },
    Length(u64),
}

/// What has been done to a folder since its last sync.
#[derive(Debug, Clone)]
enum Naming {
    Add(String, u64),
    Remove(String),
    Rename { from: String, to: String },
}

#[derive(Debug, Clone)]
enum Content {
    File { now: Vec<u8>, durable: Vec<u8>, unsynced: Vec<Change> },
    Folder { now: Names, durable: Names, unsynced: Vec<Naming> },
}

#[derive(Debug, Clone)]
struct Node {
    mode: u16,
    content: Content,
}

/// What is known of a file or folder.
#[derive(Debug, Clone, Copy)]
pub(super) struct About {
    pub(super) is_folder: bool,
    pub(super) mode: u16,
    pub(super) bytes: u64,
}

/// The disk. Nodes are counted from [`ROOT`]; removed ones keep their place until the power is cut.
#[derive(Debug)]
pub(super) struct Disk {
    nodes: Vec<Node>,
    is_off: bool,
}

fn folder(mode: u16) -> Node {
    Node { mode, content: Content::Folder { now: Names::new(), durable: Names::new(), unsynced: Vec::new() } }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => write(content, *offset, bytes),
            Self::Length(length) => content.resize(*length as usize, 0),
        }
    }

    /// As much of it as reaches the disk when each sector does so with this probability.
    fn apply_partly(&self, content: &mut Vec<u8>, rng: &mut Rng, kept: f64) {
        match self {
            Self::Length(_) if rng.f64() < kept => self.apply(content),
            Self::Length(_) => {}
            Self::Write { offset, bytes } => {
                let mut from = 0;
                while from < bytes.len() {
                    let at = offset + from as u64;
                    let to_boundary = (SECTOR_BYTES - at % SECTOR_BYTES) as usize;
                    let to = bytes.len().min(from + to_boundary);
                    if rng.f64() < kept {
                        write(content, at, &bytes[from..to]);
                    }
                    from = to;
                }
            }
        }
    }
}

fn write(content: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let (from, to) = (offset as usize, offset as usize + bytes.len());
    if content.len() < to {
        content.resize(to, 0);
    }
    content[from..to].copy_from_slice(bytes);
}

impl Naming {
    fn apply(&self, names: &mut Names) {
        match self {
            Self::Add(name, node) => drop(names.insert(name.clone(), *node)),
            Self::Remove(name) => drop(names.remove(name)),
            Self::Rename { from, to } => {
                if let Some(node) = names.remove(from) {
                    names.insert(to.clone(), node);
                }
            }
        }
    }
}

impl Disk {
    pub(super) fn empty() -> Self {
        Self { nodes: vec![folder(0o755)], is_off: false }
    }

    fn node(&self, node: u64) -> Result<&Node, Refusal> {
        if self.is_off {
            return Err(Refusal::Off);
        }
        self.nodes.get(node.wrapping_sub(1) as usize).ok_or(Refusal::Missing)
    }

    fn node_mut(&mut self, node: u64) -> Result<&mut Node, Refusal> {
        self.node(node)?;
        Ok(&mut self.nodes[node as usize - 1])
    }

    pub(super) fn names(&self, node: u64) -> Result<&Names, Refusal> {
        match &self.node(node)?.content {
            Content::Folder { now, .. } => Ok(now),
            Content::File { .. } => Err(Refusal::NotAFolder),
        }
    }

    pub(super) fn find(&self, parent: u64, name: &str) -> Result<u64, Refusal> {
        self.names(parent)?.get(name).copied().ok_or(Refusal::Missing)
    }

    pub(super) fn about(&self, node: u64) -> Result<About, Refusal> {
        let node = self.node(node)?;
        let (is_folder, bytes) = match &node.content {
            Content::File { now, .. } => (false, now.len() as u64),
            Content::Folder { .. } => (true, 0),
        };
        Ok(About { is_folder, mode: node.mode, bytes })
    }

    fn rename_in(&mut self, parent: u64, naming: Naming) -> Result<(), Refusal> {
        match &mut self.node_mut(parent)?.content {
            Content::Folder { now, unsynced, .. } => {
                naming.apply(now);
                unsynced.push(naming);
                Ok(())
            }
            Content::File { .. } => Err(Refusal::NotAFolder),
        }
    }

    pub(super) fn make(
        &mut self,
        parent: u64,
        name: &str,
        mode: u16,
        is_folder: bool,
    ) -> Result<u64, Refusal> {
        if self.names(parent)?.contains_key(name) {
            return Err(Refusal::Exists);
        }
        let file = Content::File { now: Vec::new(), durable: Vec::new(), unsynced: Vec::new() };
        self.nodes.push(if is_folder { folder(mode) } else { Node { mode, content: file } });
        let node = self.nodes.len() as u64;
        self.rename_in(parent, Naming::Add(name.to_owned(), node))?;
        Ok(node)
    }

    pub(super) fn remove(&mut self, parent: u64, name: &str) -> Result<(), Refusal> {
        let node = self.find(parent, name)?;
        if self.names(node).is_ok_and(|names| !names.is_empty()) {
            return Err(Refusal::NotEmpty);
        }
        self.rename_in(parent, Naming::Remove(name.to_owned()))
    }

    /// Renames within a folder.
    pub(super) fn rename(&mut self, parent: u64, from: &str, to: &str) -> Result<(), Refusal> {
        self.find(parent, from)?;
        self.rename_in(parent, Naming::Rename { from: from.to_owned(), to: to.to_owned() })
    }

    pub(super) fn set_mode(&mut self, node: u64, mode: u16) -> Result<(), Refusal> {
        self.node_mut(node)?.mode = mode;
        Ok(())
    }

    pub(super) fn read(&self, node: u64, offset: u64, bytes: usize) -> Result<&[u8], Refusal> {
        match &self.node(node)?.content {
            Content::File { now, .. } => {
                let from = now.len().min(offset as usize);
                Ok(&now[from..now.len().min(from.saturating_add(bytes))])
            }
            Content::Folder { .. } => Err(Refusal::Missing),
        }
    }

    fn change(&mut self, node: u64, change: Change) -> Result<(), Refusal> {
        match &mut self.node_mut(node)?.content {
            Content::File { now, unsynced, .. } => {
                change.apply(now);
                unsynced.push(change);
                Ok(())
            }
            Content::Folder { .. } => Err(Refusal::Missing),
        }
    }

    pub(super) fn write(&mut self, node: u64, offset: u64, bytes: &[u8]) -> Result<(), Refusal> {
        self.change(node, Change::Write { offset, bytes: bytes.into() })
    }

    pub(super) fn set_length(&mut self, node: u64, length: u64) -> Result<(), Refusal> {
        self.change(node, Change::Length(length))
    }

    /// Makes a file's content durable, or a folder's names.
    pub(super) fn sync(&mut self, node: u64) -> Result<(), Refusal> {
        match &mut self.node_mut(node)?.content {
            Content::File { durable, unsynced, .. } => {
                unsynced.drain(..).for_each(|change| change.apply(durable));
            }
            Content::Folder { durable, unsynced, .. } => {
                unsynced.drain(..).for_each(|naming| naming.apply(durable));
            }
        }
        Ok(())
    }

    /// Cuts the power: nothing changes from here on. Yields what the disk holds when the power is back.
    pub(super) fn cut(&mut self, rng: &mut Rng) -> Self {
        self.is_off = true;
        let mut after = Self::empty();
        let kept = *rng.choice(&[0.0, 0.1, 0.5, 0.9, 1.0]).unwrap_or(&0.5);
        self.survive(ROOT, ROOT, &mut after, rng, kept);
        after
    }

    fn survive(&self, from: u64, to: u64, after: &mut Self, rng: &mut Rng, kept: f64) {
        let Content::Folder { durable, unsynced, .. } = &self.nodes[from as usize - 1].content else {
            return;
        };
        let mut names = durable.clone();
        let reached = unsynced.iter().take_while(|_| rng.f64() < kept).count();
        unsynced[..reached].iter().for_each(|naming| naming.apply(&mut names));
        for (name, node) in names {
            let Node { mode, content } = &self.nodes[node as usize - 1];
            let copy = match content {
                Content::Folder { .. } => folder(*mode),
                Content::File { durable, unsynced, .. } => {
                    let mut durable = durable.clone();
                    unsynced.iter().for_each(|change| change.apply_partly(&mut durable, rng, kept));
                    let content = Content::File { now: durable.clone(), durable, unsynced: Vec::new() };
                    Node { mode: *mode, content }
                }
            };
            after.nodes.push(copy);
            let place = after.nodes.len() as u64;
            if let Content::Folder { now, durable, .. } = &mut after.nodes[to as usize - 1].content {
                now.insert(name.clone(), place);
                durable.insert(name, place);
            }
            self.survive(node, place, after, rng, kept);
        }
    }
}

#[test]
fn what_was_synced_survives_a_cut_and_nothing_else_is_sure_to() {
    let (mut whole, mut partly, mut forgotten) = (0, 0, 0);
    for seed in 0..200 {
        let mut disk = Disk::empty();
        let synced = disk.make(ROOT, "synced", 0o600, false).unwrap();
        disk.write(synced, 0, &[1; 1_500]).unwrap();
        disk.sync(synced).unwrap();
        disk.sync(ROOT).unwrap();
        disk.write(synced, 1_500, &[2; 1_000]).unwrap();
        let nameless = disk.make(ROOT, "nameless", 0o600, false).unwrap();
        disk.write(nameless, 0, &[3; 10]).unwrap();
        disk.sync(nameless).unwrap();
        disk.rename(ROOT, "synced", "renamed").unwrap();

        let after = disk.cut(&mut Rng::with_seed(seed));
        assert_eq!(disk.write(synced, 0, &[4]), Err(Refusal::Off));
        let found = after.find(ROOT, "synced").or_else(|_| after.find(ROOT, "renamed")).unwrap();
        let content = after.read(found, 0, 10_000).unwrap();
        assert_eq!(content[..1_500], [1; 1_500], "seed {seed}");
        assert!(content[1_500..].iter().all(|byte| [0, 2].contains(byte)), "seed {seed}");
        match content[1_500..].iter().filter(|byte| **byte == 2).count() {
            1_000 => whole += 1,
            0 => forgotten += 1,
            _ => partly += 1,
        }
        let is_renamed = after.find(ROOT, "renamed").is_ok();
        let has_name = after.find(ROOT, "nameless").is_ok();
        assert!(has_name || !is_renamed, "names survive in their order, seed {seed}");
    }
    assert!(whole > 20 && partly > 20 && forgotten > 20, "{whole} {partly} {forgotten}");
}
