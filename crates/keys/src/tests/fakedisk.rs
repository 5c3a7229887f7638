//! A disk in memory: every call can be the last one before a crash, or fail.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::Disk;

/// How far the call gets that a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// It did nothing.
    Before,
    /// Half of its bytes.
    Half,
    /// The file is as long as it should be, but its new bytes are zeros.
    Zeros,
    /// Everything, only the answer is missing.
    After,
}

pub(crate) const CUTS: [Cut; 4] = [Cut::Before, Cut::Half, Cut::Zeros, Cut::After];

#[derive(Default)]
struct World {
    names: BTreeMap<PathBuf, u64>,
    durable: BTreeMap<PathBuf, u64>,
    contents: BTreeMap<u64, Vec<u8>>,
    locks: BTreeSet<PathBuf>,
    changes: usize,
    fault: Option<(usize, Cut, bool)>,
    is_down: bool,
    broken: Option<PathBuf>,
}

#[derive(Default)]
pub(crate) struct FakeDisk(Mutex<World>);

impl fmt::Debug for FakeDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FakeDisk")
    }
}

fn error(kind: io::ErrorKind) -> io::Error {
    io::Error::from(kind)
}

impl FakeDisk {
    /// From now on: the change number `number` is cut, and (when `is_crash`) nothing works after it.
    pub(crate) fn fault(&self, number: usize, cut: Cut, is_crash: bool) {
        let mut world = self.0.lock().unwrap();
        world.fault = Some((world.changes + number, cut, is_crash));
    }

    /// Whether the fault was hit.
    pub(crate) fn was_hit(&self) -> bool {
        self.0.lock().unwrap().fault.is_none()
    }

    /// Power is back. Names that were not made durable are kept or lost, by the bits of `names`.
    pub(crate) fn reboot(&self, names: u32) {
        let mut world = self.0.lock().unwrap();
        let all: BTreeSet<PathBuf> = world.names.keys().chain(world.durable.keys()).cloned().collect();
        for (number, path) in all.into_iter().enumerate() {
            let (new, old) = (world.names.get(&path).copied(), world.durable.get(&path).copied());
            let kept = if names >> (number % 32) & 1 == 1 { new } else { old };
            match kept {
                Some(inode) => world.names.insert(path, inode),
                None => world.names.remove(&path),
            };
        }
        world.durable = world.names.clone();
        world.locks.clear();
        world.is_down = false;
        world.fault = None;
    }

    /// Everything under this folder fails (a disk that is gone), or nothing does.
    pub(crate) fn set_broken(&self, folder: Option<&Path>) {
        self.0.lock().unwrap().broken = folder.map(Path::to_path_buf);
    }

    pub(crate) fn changes(&self) -> usize {
        self.0.lock().unwrap().changes
    }

    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let world = self.0.lock().unwrap();
        world.names.iter().map(|(path, inode)| (path.clone(), world.contents[inode].clone())).collect()
    }

    /// A disk with these files.
    pub(crate) fn with(files: &BTreeMap<PathBuf, Vec<u8>>) -> Self {
        let disk = Self::default();
        for (path, bytes) in files {
            disk.create(path, bytes).unwrap();
        }
        disk.reboot(u32::MAX);
        disk
    }

    fn change(&self, path: &Path, act: impl FnOnce(&mut World, Cut) -> io::Result<()>) -> io::Result<()> {
        let mut world = self.0.lock().unwrap();
        if world.is_down || world.broken.as_ref().is_some_and(|broken| path.starts_with(broken)) {
            return Err(error(io::ErrorKind::BrokenPipe));
        }
        world.changes += 1;
        match world.fault {
            Some((number, cut, is_crash)) if world.changes >= number => {
                world.fault = None;
                world.is_down = is_crash;
                if cut != Cut::Before {
                    act(&mut world, cut)?;
                }
                Err(error(io::ErrorKind::StorageFull))
            }
            _ => act(&mut world, Cut::After),
        }
    }

    fn look<T>(&self, path: &Path, act: impl FnOnce(&World) -> io::Result<T>) -> io::Result<T> {
        let world = self.0.lock().unwrap();
        if world.is_down || world.broken.as_ref().is_some_and(|broken| path.starts_with(broken)) {
            return Err(error(io::ErrorKind::BrokenPipe));
        }
        act(&world)
    }
}

fn spoiled(bytes: &[u8], cut: Cut) -> Vec<u8> {
    match cut {
        Cut::Before | Cut::After => bytes.to_vec(),
        Cut::Half => bytes[..bytes.len() / 2].to_vec(),
        Cut::Zeros => vec![0; bytes.len()],
    }
}

impl Disk for FakeDisk {
    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        self.look(dir, |_| Ok(()))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let inside = |path: &&PathBuf| path.parent() == Some(dir);
        let text = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
        self.look(dir, |world| Ok(world.names.keys().filter(inside).map(text).collect()))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.look(path, |world| {
            let inode = world.names.get(path).ok_or_else(|| error(io::ErrorKind::NotFound))?;
            Ok(world.contents[inode].clone())
        })
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        self.read(path).map(|bytes| bytes.len() as u64)
    }

    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.change(path, |world, cut| {
            if world.names.contains_key(path) {
                return Err(error(io::ErrorKind::AlreadyExists));
            }
            let inode = world.contents.len() as u64;
            world.contents.insert(inode, spoiled(bytes, cut));
            world.names.insert(path.to_path_buf(), inode);
            Ok(())
        })
    }

    fn write_at(&self, path: &Path, writes: &[(u64, &[u8])]) -> io::Result<()> {
        self.change(path, |world, cut| {
            let inode = *world.names.get(path).ok_or_else(|| error(io::ErrorKind::NotFound))?;
            let content = world.contents.get_mut(&inode).unwrap();
            for (number, (at, bytes)) in writes.iter().enumerate() {
                // Of many writes the later half is the one that suffers.
                let cut = if writes.len() > 1 && number < writes.len() / 2 { Cut::After } else { cut };
                let (at, bytes) = (usize::try_from(*at).unwrap(), spoiled(bytes, cut));
                content.resize(content.len().max(at + bytes.len()), 0);
                content[at..at + bytes.len()].copy_from_slice(&bytes);
            }
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(to, |world, _| {
            let inode = world.names.remove(from).ok_or_else(|| error(io::ErrorKind::NotFound))?;
            world.names.insert(to.to_path_buf(), inode);
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if self.look(path, |world| Ok(!world.names.contains_key(path)))? {
            return Err(error(io::ErrorKind::NotFound));
        }
        self.change(path, |world, _| {
            world.names.remove(path);
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.change(dir, |world, _| {
            world.durable.retain(|path, _| path.parent() != Some(dir));
            let here = world.names.iter().filter(|(path, _)| path.parent() == Some(dir));
            let here: Vec<_> = here.map(|(path, inode)| (path.clone(), *inode)).collect();
            world.durable.extend(here);
            Ok(())
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn fmt::Debug + Send + Sync>> {
        self.look(path, |_| Ok(()))?;
        Ok(Box::new(()))
    }
}
