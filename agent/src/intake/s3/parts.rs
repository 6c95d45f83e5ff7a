//! Objects that come in parts. In: their beginning, their parts in any order, their end. Out: the whole file. Refuses more
//! than [`OPEN_MAX`] at a time, parts that do not belong, and lists that name what has not come; what nobody goes on with
//! for [`LIFE`] is removed.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use md5::{Digest, Md5};
use s3s::dto::CompletedPart;
use s3s::{S3Result, s3_error};

use super::Received;
use crate::intake::Stage;

/// Objects whose parts are coming.
const OPEN_MAX: usize = 8;
/// S3's own limit.
const PART_NUMBER_MAX: i32 = 10_000;
/// How long one may rest.
const LIFE: Duration = Duration::from_secs(3600);

/// The objects that are not whole yet.
#[derive(Default)]
pub(super) struct Parts(Mutex<HashMap<String, Open>>);

struct Open {
    key: String,
    stage: Stage,
    parts: BTreeMap<i32, Part>,
    touched: Instant,
    /// Files made so far: a part that is sent again must not write into its first try.
    count: u64,
}

struct Part {
    file: PathBuf,
    e_tag: String,
    bytes: u64,
}

/// Where a part goes.
pub(super) struct Place {
    pub(super) file: PathBuf,
    /// Bytes of the object's other parts.
    pub(super) taken: u64,
}

/// An object that is whole.
pub(super) struct Whole {
    pub(super) stage: Stage,
    pub(super) file: PathBuf,
    pub(super) e_tag: String,
}

impl Parts {
    pub(super) fn begin(&self, key: &str, stage: Stage) -> S3Result<String> {
        let mut open = self.open();
        open.retain(|_, object| object.touched.elapsed() < LIFE);
        if open.len() >= OPEN_MAX {
            return Err(s3_error!(SlowDown, "{OPEN_MAX} uploads in parts are open; end or abort one"));
        }
        let mut number = [0_u8; 16];
        rustix::rand::getrandom(&mut number, rustix::rand::GetRandomFlags::empty())
            .map_err(|errno| s3_error!(InternalError, "no random number: {errno}"))?;
        let id: String = number.iter().map(|byte| format!("{byte:02x}")).collect();
        let object =
            Open { key: key.to_owned(), stage, parts: BTreeMap::new(), touched: Instant::now(), count: 0 };
        open.insert(id.clone(), object);
        Ok(id)
    }

    pub(super) fn place(&self, id: &str, key: &str, number: i32) -> S3Result<Place> {
        if !(1..=PART_NUMBER_MAX).contains(&number) {
            return Err(s3_error!(InvalidArgument, "a part's number is 1 to {PART_NUMBER_MAX}"));
        }
        let mut open = self.open();
        let object = open.get_mut(id).filter(|object| object.key == key);
        let object = object.ok_or_else(|| s3_error!(NoSuchUpload))?;
        object.touched = Instant::now();
        object.count += 1;
        let file = object.stage.path().join(format!("part-{number}-{}", object.count));
        let others = object.parts.iter().filter(|(other, _)| **other != number);
        Ok(Place { file, taken: others.map(|(_, part)| part.bytes).sum() })
    }

    /// Notes what came of a part, and returns its tag.
    pub(super) fn put(
        &self,
        id: &str,
        number: i32,
        place: &Place,
        received: S3Result<Received>,
    ) -> S3Result<String> {
        let Received { e_tag, bytes } = received.inspect_err(|_| {
            // It may not have been made.
            let _ = std::fs::remove_file(&place.file);
        })?;
        let mut open = self.open();
        let object = open.get_mut(id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        object.touched = Instant::now();
        let part = Part { file: place.file.clone(), e_tag: e_tag.clone(), bytes };
        if let Some(former) = object.parts.insert(number, part) {
            // Its folder goes with the object in any case.
            let _ = std::fs::remove_file(former.file);
        }
        Ok(e_tag)
    }

    /// Joins the parts in their order.
    pub(super) fn complete(
        &self,
        id: &str,
        key: &str,
        listed: &[CompletedPart],
        bytes_max: u64,
    ) -> S3Result<Whole> {
        let mut open = self.open();
        let object =
            open.get(id).filter(|object| object.key == key).ok_or_else(|| s3_error!(NoSuchUpload))?;
        let numbers: Vec<_> = listed.iter().filter_map(|part| part.part_number).collect();
        if numbers.is_empty() || !numbers.is_sorted_by(|one, next| one < next) {
            return Err(s3_error!(InvalidPartOrder));
        }
        for part in listed {
            let have = part.part_number.and_then(|number| object.parts.get(&number));
            let same = |have: &Part| part.e_tag.as_ref().is_none_or(|tag| tag.value() == have.e_tag);
            if !have.is_some_and(same) {
                return Err(s3_error!(InvalidPart));
            }
        }
        let bytes: u64 = numbers.iter().map(|number| object.parts[number].bytes).sum();
        if bytes > bytes_max {
            return Err(s3_error!(EntityTooLarge, "an upload has at most {bytes_max} bytes"));
        }
        let Some(object) = open.remove(id) else { return Err(s3_error!(NoSuchUpload)) };
        drop(open);
        join(object, &numbers)
            .map_err(|error| s3_error!(InternalError, "the parts cannot be joined: {error}"))
    }

    pub(super) fn abort(&self, id: &str) -> S3Result<()> {
        self.open().remove(id).map(drop).ok_or_else(|| s3_error!(NoSuchUpload))
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first part grows by the others, each of which is gone once it is taken.
fn join(object: Open, numbers: &[i32]) -> io::Result<Whole> {
    let Open { stage, parts, .. } = object;
    let file = parts[&numbers[0]].file.clone();
    let mut whole = OpenOptions::new().append(true).open(&file)?;
    let mut tags = Md5::new();
    for number in numbers {
        let part = &parts[number];
        tags.update(&part.e_tag);
        if part.file != file {
            io::copy(&mut File::open(&part.file)?, &mut whole)?;
            std::fs::remove_file(&part.file)?;
        }
    }
    let tags: [u8; 16] = tags.finalize().into();
    let hex: String = tags.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Whole { stage, file, e_tag: format!("{hex}-{}", numbers.len()) })
}
