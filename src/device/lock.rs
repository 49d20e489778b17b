//! One process per device.
//!
//! libedgetpu resets the port of a stick before it finds out that another process uses it, and that reset kills the
//! other process. So whoever is about to open a device takes this lock first: an advisory `flock` on a file named after
//! the device, in a directory that all users share. The kernel releases it when the holder ends, however it ends; the
//! file stays, because removing it would let two processes lock two files of one name.
//!
//! The directory is `CORALLITE_LOCK_DIR`, else the first of `/run/lock` and `/tmp` in which everybody may write. It is
//! not `$XDG_RUNTIME_DIR`, which each user has alone: a service and a login session would both get the lock. A container
//! has its own of all of these unless `/run/lock` is mounted into it. Files are opened without following links and
//! without waiting, must be regular and have one name, and get mode 0666 so that the next user can lock them too.

use std::env;
use std::fs::{File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::error::DeviceError;
use super::holders::{Holder, command_of, printable};
use super::system::{System, read_attribute};

/// Directories in which every user may create files, best first.
const SHARED_DIRECTORIES: [&str; 2] = ["/run/lock", "/tmp"];

/// Longest note of a holder that is read, in bytes.
const LONGEST_NOTE: u64 = 512;

/// The right to open a device, held until dropped.
///
/// Two locks of one device exclude each other within a process too: a process shares one lock among its users.
///
/// ```no_run
/// use corallite::device::DeviceLock;
/// let lock = DeviceLock::acquire("/dev/apex_0")?;
/// // open the device, use it, close it
/// drop(lock);
/// # Ok::<(), corallite::device::DeviceError>(())
/// ```
#[derive(Debug)]
pub struct DeviceLock {
    device: String,
    file: File,
}

impl Drop for DeviceLock {
    /// Closing the file would not do: a child that another thread has just forked has it open until its program starts, and
    /// the lock with it.
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            log::debug!("lock of {}: {error}", self.device);
        }
    }
}

impl DeviceLock {
    /// Takes the lock of the device with path `device`, without waiting.
    ///
    /// # Errors
    ///
    /// Somebody has it, who is named where that can be told; or the lock file cannot be opened, or is not one of ours.
    pub fn acquire(device: &str) -> Result<Self, DeviceError> {
        let chosen = env::var_os("CORALLITE_LOCK_DIR")
            .filter(|value| !value.is_empty())
            .map(PathBuf::from);
        let directories = match chosen {
            Some(directory) => vec![directory],
            None => SHARED_DIRECTORIES
                .iter()
                .map(PathBuf::from)
                .filter(|path| everybody_may_write(path))
                .collect(),
        };
        Self::acquire_in(device, &directories)
    }

    /// Takes the lock of the device with path `device`, with its file in the first of `directories` that allows it.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    pub fn acquire_in(device: &str, directories: &[PathBuf]) -> Result<Self, DeviceError> {
        for directory in directories {
            let path = directory.join(file_name(device));
            match open(&path) {
                Ok(file) => return Self::lock(device, &path, file),
                // Not there, or not for us: the next one.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::ReadOnlyFilesystem
                    ) => {}
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !path.exists() => {
                }
                // O_NOFOLLOW on a link, O_NONBLOCK on a pipe without reader.
                Err(error)
                    if matches!(
                        error.raw_os_error(),
                        Some(libc::ELOOP | libc::ENXIO | libc::EISDIR)
                    ) =>
                {
                    return Err(DeviceError::LockFile {
                        device: device.to_string(),
                        file: path,
                    });
                }
                Err(source) => {
                    return Err(DeviceError::Lock {
                        device: device.to_string(),
                        file: path,
                        source,
                    });
                }
            }
        }
        Err(DeviceError::NoLockDirectory {
            device: device.to_string(),
            tried: directories.to_vec(),
        })
    }

    /// Path of the device it is for.
    pub fn device(&self) -> &str {
        &self.device
    }

    fn lock(device: &str, path: &Path, mut file: File) -> Result<Self, DeviceError> {
        let failed = |source| DeviceError::Lock {
            device: device.to_string(),
            file: path.to_path_buf(),
            source,
        };
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() || metadata.nlink() != 1 {
            return Err(DeviceError::LockFile {
                device: device.to_string(),
                file: path.to_path_buf(),
            });
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = find_holder(&System::host(), &metadata, &mut file);
                return Err(DeviceError::Busy {
                    device: device.to_string(),
                    holder,
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        if let Err(error) = write_note(&mut file) {
            // The note only helps who comes second; the file may belong to another user.
            log::debug!("device: {}: note not written: {error}", path.display());
        }
        Ok(Self {
            device: device.to_string(),
            file,
        })
    }
}

/// Some distributions keep `/run/lock` to root. Then nobody takes it, root included: all must look in one place.
fn everybody_may_write(directory: &Path) -> bool {
    directory
        .metadata()
        .is_ok_and(|metadata| metadata.is_dir() && metadata.mode() & 0o002 != 0)
}

/// `corallite-2-1.lock`, `corallite-apex_0.lock`: the last component of the path, other characters replaced.
fn file_name(device: &str) -> String {
    let last = device.rsplit('/').next().unwrap_or_default();
    let safe: String = last
        .chars()
        .take(64)
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
                c
            } else {
                '_'
            }
        })
        .collect();
    format!("corallite-{safe}.lock")
}

/// Opens the file, creating it where it is missing.
///
/// An existing file is opened without O_CREAT: with it, `fs.protected_regular` refuses files of other users in `/tmp`.
/// For the same reason a file that may only be read is good enough, a lock needs no more.
fn open(path: &Path) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let existing = |writable| {
        OpenOptions::new()
            .read(true)
            .write(writable)
            .custom_flags(flags)
            .open(path)
    };
    match existing(true) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return existing(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        result => return result,
    }
    let created = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o666)
        .custom_flags(flags)
        .open(path);
    match created {
        Ok(file) => {
            // The umask has taken the others' right to write.
            file.set_permissions(Permissions::from_mode(0o666))?;
            Ok(file)
        }
        // Somebody was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            existing(true).or_else(|_| existing(false))
        }
        Err(error) => Err(error),
    }
}

/// Says in the file who holds it: process id and command.
fn write_note(file: &mut File) -> io::Result<()> {
    let pid = std::process::id();
    let note = format!("{pid} {}\n", command_of(&System::host(), pid));
    file.rewind()?;
    file.set_len(0)?;
    file.write_all(note.as_bytes())
}

/// Who has the lock: the kernel's list of locks first, then the note, which anybody could have written.
fn find_holder(system: &System, metadata: &Metadata, file: &mut File) -> Option<Holder> {
    let locks = read_attribute(&system.proc().join("locks")).unwrap_or_default();
    if let Some(pid) = holder_in_locks(&locks, metadata.dev(), metadata.ino()) {
        return Some(Holder {
            pid,
            command: command_of(system, pid),
        });
    }
    let mut note = Vec::new();
    file.rewind().ok()?;
    file.take(LONGEST_NOTE).read_to_end(&mut note).ok()?;
    let note = String::from_utf8_lossy(&note);
    let (pid, command) = note.trim().split_once(' ')?;
    // A note without this process being alive is an old one: the holder could not write its own.
    let pid: u32 = pid.parse().ok()?;
    system
        .proc()
        .join(pid.to_string())
        .exists()
        .then(|| Holder {
            pid,
            command: printable(command),
        })
}

/// The process with a flock on the file, from `/proc/locks` (proc(5)): `1: FLOCK ADVISORY WRITE 812 08:01:1234 0 EOF`.
///
/// The device is in hexadecimal, major and minor, the inode in decimal. Process 0 or -1: one of another pid namespace.
fn holder_in_locks(locks: &str, device: u64, inode: u64) -> Option<u32> {
    let (major, minor) = (libc::major(device), libc::minor(device));
    locks.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        // `1: -> FLOCK` is a process that waits.
        let (_, kind) = (fields.next()?, fields.next()?);
        let (pid, file) = (fields.nth(2)?, fields.next()?);
        let mut parts = file.split(':');
        let same = kind == "FLOCK"
            && u32::from_str_radix(parts.next()?, 16).ok()? == major
            && u32::from_str_radix(parts.next()?, 16).ok()? == minor
            && parts.next()?.parse::<u64>().ok()? == inode;
        if same {
            pid.parse().ok().filter(|pid| *pid != 0)
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::fake::FakeSystem;
    use super::*;
    use std::fs;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    const STICK: &str = "/sys/bus/usb/devices/2-1";

    #[test]
    fn a_second_lock_is_told_who_holds_the_first() {
        let fake = FakeSystem::new("lock");
        let directories = [fake.path("")];
        let first = DeviceLock::acquire_in(STICK, &directories).unwrap();
        assert_eq!(first.device(), STICK);
        let Err(DeviceError::Busy { device, holder }) = DeviceLock::acquire_in(STICK, &directories)
        else {
            panic!("locked twice");
        };
        assert_eq!(device, STICK);
        let holder = holder.expect("the note or the kernel tells");
        assert_eq!(holder.pid, std::process::id());
        assert!(!holder.command.is_empty());
        // Another device is another lock.
        let _other = DeviceLock::acquire_in("/sys/bus/usb/devices/2-2", &directories).unwrap();
        // As a child has the file open that was forked and has not started its program.
        let _copy = first.file.try_clone().unwrap();
        drop(first);
        DeviceLock::acquire_in(STICK, &directories).unwrap();
    }

    /// Runs itself a second time as the process that holds the lock.
    #[test]
    #[cfg_attr(
        not(target_arch = "x86_64"),
        ignore = "under qemu-user a child needs the emulator in binfmt_misc; run it on a board"
    )]
    fn the_lock_of_a_killed_process_is_free() {
        const DIRECTORY: &str = "CORALLITE_TEST_LOCK_CHILD";
        if let Some(directory) = env::var_os(DIRECTORY) {
            let _lock = DeviceLock::acquire_in(STICK, &[directory.into()]).unwrap();
            println!("locked");
            std::thread::sleep(std::time::Duration::from_secs(60));
            return;
        }
        let fake = FakeSystem::new("killed");
        let name = std::thread::current().name().unwrap().to_string();
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", &name, "--nocapture"])
            .env(DIRECTORY, fake.path(""))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let locked = lines
            .map_while(Result::ok)
            .any(|line| line.contains("locked"));
        let result = DeviceLock::acquire_in(STICK, &[fake.path("")]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(locked);
        let Err(DeviceError::Busy { holder, .. }) = result else {
            panic!("locked twice");
        };
        assert_eq!(holder.map(|holder| holder.pid), Some(child.id()));
        DeviceLock::acquire_in(STICK, &[fake.path("")]).unwrap();
    }

    #[test]
    fn a_file_left_by_a_dead_process_is_no_obstacle() {
        let fake = FakeSystem::new("stale");
        fake.write("corallite-apex_0.lock", "4999999 gone\n");
        let directories = [fake.path("")];
        let _lock = DeviceLock::acquire_in("/dev/apex_0", &directories).unwrap();
        let note = fs::read_to_string(fake.path("corallite-apex_0.lock")).unwrap();
        assert!(
            note.starts_with(&format!("{} ", std::process::id())),
            "{note}"
        );
    }

    #[test]
    fn new_files_are_open_to_the_next_user() {
        let fake = FakeSystem::new("mode");
        let _lock = DeviceLock::acquire_in("/dev/apex_0", &[fake.path("")]).unwrap();
        let mode = fs::metadata(fake.path("corallite-apex_0.lock"))
            .unwrap()
            .mode();
        assert_eq!(mode & 0o777, 0o666);
    }

    #[test]
    fn links_pipes_and_directories_are_refused() {
        let fake = FakeSystem::new("prepared");
        fake.write("precious", "content");
        let lock = fake.path("corallite-apex_0.lock");
        type Prepare = fn(&Path, &Path) -> io::Result<()>;
        let cases: [(&str, Prepare); 4] = [
            ("link", |target, lock| {
                std::os::unix::fs::symlink(target, lock)
            }),
            ("dangling link", |_, lock| {
                std::os::unix::fs::symlink("nowhere", lock)
            }),
            ("second name", |target, lock| fs::hard_link(target, lock)),
            ("directory", |_, lock| fs::create_dir(lock)),
        ];
        for (name, prepare) in cases {
            prepare(&fake.path("precious"), &lock).unwrap();
            let result = DeviceLock::acquire_in("/dev/apex_0", &[fake.path("")]);
            assert!(
                matches!(result, Err(DeviceError::LockFile { .. })),
                "{name}: {result:?}"
            );
            let _ = fs::remove_file(&lock);
        }
        assert_eq!(
            fs::read_to_string(fake.path("precious")).unwrap(),
            "content"
        );
    }

    #[test]
    fn the_next_directory_is_tried() {
        let fake = FakeSystem::new("directories");
        let directories = [fake.path("missing"), fake.path("")];
        DeviceLock::acquire_in("/dev/apex_0", &directories).unwrap();
        assert!(fake.path("corallite-apex_0.lock").exists());
        let result = DeviceLock::acquire_in("/dev/apex_0", &directories[..1]);
        assert!(
            matches!(result, Err(DeviceError::NoLockDirectory { .. })),
            "{result:?}"
        );
    }

    #[test]
    fn only_directories_of_everybody_are_shared() {
        let fake = FakeSystem::new("everybody");
        for (mode, expected) in [(0o1777, true), (0o755, false), (0o775, false)] {
            fs::set_permissions(fake.path(""), Permissions::from_mode(mode)).unwrap();
            assert_eq!(everybody_may_write(&fake.path("")), expected, "{mode:o}");
        }
        assert!(!everybody_may_write(&fake.path("missing")));
    }

    #[test]
    fn file_names_are_safe() {
        let cases = [
            (STICK, "corallite-2-1.lock"),
            ("/sys/bus/usb/devices/1-2.4", "corallite-1-2.4.lock"),
            ("/dev/apex_0", "corallite-apex_0.lock"),
            ("../../etc/passwd\0x", "corallite-passwd_x.lock"),
            ("a/..", "corallite-...lock"),
            ("", "corallite-.lock"),
        ];
        for (device, expected) in cases {
            assert_eq!(file_name(device), expected);
        }
        assert!(file_name(&"x".repeat(9999)).len() < 100);
    }

    #[test]
    fn the_kernels_list_of_locks_is_read() {
        // Device 0x0801 = major 8, minor 1 (makedev(3)).
        let locks = "1: POSIX  ADVISORY  WRITE 11 08:01:77 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 12 08:01:77 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 13 08:02:77 0 EOF\n\
                     4: FLOCK  ADVISORY  WRITE 14 08:01:78 0 EOF\n\
                     nonsense\n\
                     5: FLOCK  ADVISORY  WRITE 15 08:01:77 0 EOF\n\
                     6: FLOCK  ADVISORY  WRITE 0 08:01:79 0 EOF\n\
                     7: FLOCK  ADVISORY  WRITE -1 08:01:80 0 EOF\n";
        assert_eq!(holder_in_locks(locks, 0x0801, 77), Some(15));
        assert_eq!(holder_in_locks(locks, 0x0801, 79), None);
        assert_eq!(holder_in_locks(locks, 0x0801, 80), None);
        assert_eq!(holder_in_locks(locks, 0x0801, 1), None);
    }
}
