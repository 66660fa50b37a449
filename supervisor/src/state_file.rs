//! What becomes of a state file that makes no sense: the same for all of mainstay's.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// So many files of one name that made no sense are kept.
const MOST: u32 = 100;

/// Where a file that makes no sense has gone.
#[derive(Debug)]
pub struct Aside {
    file: PathBuf,
    moved: io::Result<PathBuf>,
}

/// Moves a file that makes no sense out of the way, to the first free `NAME.corrupt-N`: `units.json` to
/// `units.json.corrupt-1`. From the hundredth on the last name is used again.
pub fn move_aside(file: &Path) -> Aside {
    let named = |number: u32| {
        let mut name = OsString::from(file);
        name.push(format!(".corrupt-{number}"));
        PathBuf::from(name)
    };
    let free = (1..MOST).map(named).find(|it| !it.exists());
    let target = free.unwrap_or_else(|| named(MOST));
    let moved = fs::rename(file, &target).map(|()| target);
    Aside { file: file.to_owned(), moved }
}

impl Aside {
    /// Where it is now.
    ///
    /// # Errors
    /// If it could not be moved.
    pub fn path(self) -> io::Result<PathBuf> {
        self.moved
    }
}

impl std::fmt::Display for Aside {
    /// In words: `moved to PATH`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.moved {
            Ok(target) => write!(f, "moved to {}", target.display()),
            Err(error) => {
                write!(f, "not to be moved aside either ({error}): remove {}", self.file.display())
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_file_that_makes_no_sense_is_kept_beside_the_next_one() {
        let folder = std::env::temp_dir().join(format!("mainstay-aside-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("units.json");
        for (number, content) in ["{", "[", ""].iter().enumerate() {
            fs::write(&file, content).unwrap();
            let aside = move_aside(&file);
            let target = folder.join(format!("units.json.corrupt-{}", number + 1));
            assert_eq!(aside.to_string(), format!("moved to {}", target.display()));
            assert_eq!(fs::read_to_string(aside.path().unwrap()).unwrap(), *content);
            assert!(!file.exists());
        }
        let gone = move_aside(&file);
        assert!(gone.to_string().contains("remove "), "{gone}");
        assert!(gone.path().is_err());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn only_so_many_are_kept() {
        let folder = std::env::temp_dir().join(format!("mainstay-asides-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("vips.json");
        for number in 0..=MOST {
            fs::write(&file, number.to_string()).unwrap();
            move_aside(&file).path().unwrap();
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 100);
        let last = folder.join(format!("vips.json.corrupt-{MOST}"));
        assert_eq!(fs::read_to_string(last).unwrap(), MOST.to_string());
        fs::remove_dir_all(folder).unwrap();
    }
}
