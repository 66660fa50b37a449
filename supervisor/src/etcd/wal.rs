//! Whose data a data directory holds: the first records of its write-ahead log say so.
//!
//! Each file of the log begins with a checksum record and a metadata record. A record is framed by eight bytes, little endian:
//! the length in the lower 56 bits; if the top bit is set, the three bits above those 56 count the bytes that pad it.
//! etcd: `server/storage/wal/{encoder,decoder,wal}.go`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use prost::Message;

use super::{ClusterId, MemberId};

/// How much of a file is read: the two records take some tens of bytes.
const HEAD: u64 = 4096;
const METADATA: i64 = 1;

#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(int64, tag = "1")]
    kind: i64,
    #[prost(uint32, tag = "2")]
    crc: u32,
    #[prost(bytes = "vec", optional, tag = "3")]
    data: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct Metadata {
    #[prost(uint64, tag = "1")]
    node: u64,
    #[prost(uint64, tag = "2")]
    cluster: u64,
}

/// The cluster and the member that a write-ahead log belongs to; `None` if there is no file in it.
///
/// # Errors
/// If it cannot be read, in words.
pub(super) fn owner(wal: &Path) -> Result<Option<(ClusterId, MemberId)>, String> {
    let entries = match std::fs::read_dir(wal) {
        Ok(entries) => entries,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(why) => return Err(format!("cannot read {}: {why}", wal.display())),
    };
    let files = entries.filter_map(Result::ok).map(|entry| entry.path());
    let Some(newest) = files.filter(|it| it.extension().is_some_and(|it| it == "wal")).max() else {
        return Ok(None);
    };
    let mut head = Vec::new();
    File::open(&newest)
        .and_then(|file| file.take(HEAD).read_to_end(&mut head))
        .map_err(|why| format!("cannot read {}: {why}", newest.display()))?;
    match metadata(&head) {
        Some(it) => Ok(Some((ClusterId(it.cluster), MemberId(it.node)))),
        None => Err(format!("{} is damaged: it does not say whose it is", newest.display())),
    }
}

fn metadata(mut bytes: &[u8]) -> Option<Metadata> {
    loop {
        let (frame, rest) = bytes.split_first_chunk::<8>()?;
        let frame = u64::from_le_bytes(*frame);
        let length = usize::try_from(frame & ((1 << 56) - 1)).ok()?;
        let padding = if frame >> 63 == 1 { (frame >> 56) & 0b111 } else { 0 };
        let record = Record::decode(rest.get(..length)?).ok()?;
        if record.kind == METADATA {
            return Metadata::decode(record.data?.as_slice()).ok();
        }
        bytes = rest.get(length.checked_add(usize::try_from(padding).ok()?)?..)?;
        // The preallocated rest of the file is zeros.
        if length == 0 {
            return None;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn framed(record: &Record) -> Vec<u8> {
        let body = record.encode_to_vec();
        let padding = (8 - body.len() % 8) % 8;
        let mut frame = body.len() as u64;
        if padding != 0 {
            frame |= (0x80 | padding as u64) << 56;
        }
        [frame.to_le_bytes().as_slice(), &body, &vec![0; padding]].concat()
    }

    fn log() -> Vec<u8> {
        let metadata = Metadata { node: 0x8e9e_05c5_2164_694d, cluster: 0xcdf8_181e_3227_5a6e };
        let mut log = framed(&Record { kind: 4, crc: 0, data: None });
        log.extend(framed(&Record {
            kind: METADATA,
            crc: 7,
            data: Some(metadata.encode_to_vec()),
        }));
        log.resize(8192, 0);
        log
    }

    #[test]
    fn the_metadata_record_is_found_behind_the_checksum_record() {
        let found = metadata(&log()).unwrap();
        assert_eq!((found.node, found.cluster), (0x8e9e_05c5_2164_694d, 0xcdf8_181e_3227_5a6e));
    }

    #[test]
    fn a_log_that_is_cut_anywhere_in_its_head_or_is_zeros_says_nothing() {
        let log = log();
        for end in 0..48 {
            if let Some(found) = metadata(&log[..end]) {
                assert_eq!(found.node, 0x8e9e_05c5_2164_694d, "cut at {end}");
            }
        }
        assert!(metadata(&log[..20]).is_none());
        assert!(metadata(&[0; 4096]).is_none());
        assert!(metadata(&[0xff; 4096]).is_none());
    }
}
