//! The checksums of a request. In: what its head and its trailers declare, and its bytes. Out: its MD5, which S3 gives
//! back as its tag. Refuses content that does not match what was declared.

use md5::{Digest, Md5};
use s3s::checksum::ChecksumHasher;
use s3s::dto::{Checksum, ChecksumAlgorithm, PutObjectInput, UploadPartInput};
use s3s::{S3Result, TrailingHeaders, s3_error};

/// Counts what passes.
pub(super) struct Digests {
    md5: Md5,
    declared_md5: Option<String>,
    hasher: ChecksumHasher,
    declared: Checksum,
    trailers: Option<TrailingHeaders>,
}

macro_rules! declared {
    ($input:expr) => {
        Checksum {
            checksum_crc32: $input.checksum_crc32.clone(),
            checksum_crc32c: $input.checksum_crc32c.clone(),
            checksum_crc64nvme: $input.checksum_crc64nvme.clone(),
            checksum_sha1: $input.checksum_sha1.clone(),
            checksum_sha256: $input.checksum_sha256.clone(),
            ..Default::default()
        }
    };
}

impl Digests {
    pub(super) fn of_object(input: &PutObjectInput, trailers: Option<TrailingHeaders>) -> S3Result<Self> {
        Self::new(declared!(input), input.checksum_algorithm.as_ref(), input.content_md5.clone(), trailers)
    }

    pub(super) fn of_part(input: &UploadPartInput, trailers: Option<TrailingHeaders>) -> S3Result<Self> {
        Self::new(declared!(input), input.checksum_algorithm.as_ref(), input.content_md5.clone(), trailers)
    }

    fn new(
        declared: Checksum,
        algorithm: Option<&ChecksumAlgorithm>,
        declared_md5: Option<String>,
        trailers: Option<TrailingHeaders>,
    ) -> S3Result<Self> {
        let mut hasher = ChecksumHasher::default();
        // Which one a trailer will hold is known by its algorithm alone.
        let named = |name: &str| algorithm.is_some_and(|algorithm| algorithm.as_str() == name);
        hasher.crc32 =
            (declared.checksum_crc32.is_some() || named(ChecksumAlgorithm::CRC32)).then(Default::default);
        hasher.crc32c =
            (declared.checksum_crc32c.is_some() || named(ChecksumAlgorithm::CRC32C)).then(Default::default);
        hasher.crc64nvme = (declared.checksum_crc64nvme.is_some() || named(ChecksumAlgorithm::CRC64NVME))
            .then(Default::default);
        hasher.sha1 =
            (declared.checksum_sha1.is_some() || named(ChecksumAlgorithm::SHA1)).then(Default::default);
        hasher.sha256 =
            (declared.checksum_sha256.is_some() || named(ChecksumAlgorithm::SHA256)).then(Default::default);
        Ok(Self { md5: Md5::new(), declared_md5, hasher, declared, trailers })
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.hasher.update(bytes);
    }

    /// The MD5 in hexadecimal, once all has passed.
    pub(super) fn finish(self) -> S3Result<String> {
        let Self { md5, declared_md5, hasher, mut declared, trailers } = self;
        if let Some(trailers) = trailers.and_then(|trailers| trailers.take()) {
            let trailer =
                |name: &str| trailers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            let fill = |place: &mut Option<String>, name| *place = place.take().or_else(|| trailer(name));
            fill(&mut declared.checksum_crc32, "x-amz-checksum-crc32");
            fill(&mut declared.checksum_crc32c, "x-amz-checksum-crc32c");
            fill(&mut declared.checksum_crc64nvme, "x-amz-checksum-crc64nvme");
            fill(&mut declared.checksum_sha1, "x-amz-checksum-sha1");
            fill(&mut declared.checksum_sha256, "x-amz-checksum-sha256");
        }
        let found = hasher.finalize();
        for (name, declared, found) in [
            ("CRC32", &declared.checksum_crc32, &found.checksum_crc32),
            ("CRC32C", &declared.checksum_crc32c, &found.checksum_crc32c),
            ("CRC64NVME", &declared.checksum_crc64nvme, &found.checksum_crc64nvme),
            ("SHA1", &declared.checksum_sha1, &found.checksum_sha1),
            ("SHA256", &declared.checksum_sha256, &found.checksum_sha256),
        ] {
            // One that is declared and was not counted is one whose algorithm was not told beforehand.
            if declared.is_some() && declared != found {
                return Err(s3_error!(BadDigest, "the content does not match its {name}; send it again"));
            }
        }
        let md5: [u8; 16] = md5.finalize().into();
        if declared_md5.is_some_and(|declared| base64(&md5) != declared) {
            return Err(s3_error!(BadDigest, "the content does not match its MD5; send it again"));
        }
        Ok(md5.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// As headers write bytes.
fn base64(bytes: &[u8]) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let at = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            let sign = SIGNS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() { char::from(sign) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digests(input: &PutObjectInput) -> Digests {
        Digests::of_object(input, None).unwrap()
    }

    fn put() -> PutObjectInput {
        PutObjectInput::builder().bucket("weft".to_owned()).key("a".to_owned()).build().unwrap()
    }

    #[test]
    fn content_that_does_not_match_its_checksum_is_refused() {
        for (crc32, md5, fits) in [
            (Some("6LevfQ=="), None, false),
            (None, Some("kAFQmDzST7DWlj99KOF/cg=="), true),
            (None, Some("AAFQmDzST7DWlj99KOF/cg=="), false),
            (Some("NSRBwg=="), Some("kAFQmDzST7DWlj99KOF/cg=="), true),
        ] {
            let mut input = put();
            input.checksum_crc32 = crc32.map(str::to_owned);
            input.content_md5 = md5.map(str::to_owned);
            let mut digests = digests(&input);
            digests.update(b"a");
            digests.update(b"bc");
            assert_eq!(digests.finish().is_ok(), fits, "{crc32:?} {md5:?}");
        }
    }

    #[test]
    fn the_tag_of_an_object_is_its_md5() {
        let mut digests = digests(&put());
        digests.update(b"abc");
        assert_eq!(digests.finish().unwrap(), "900150983cd24fb0d6963f7d28e17f72");
    }
}
