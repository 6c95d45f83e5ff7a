//! The shipped models, made again. Needs the data sets that they were made of, in the folder that WEFT_DATA names.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;

use ruzstd::decoding::StreamingDecoder;
use weft_models::seed;

#[test]
fn the_traces_give_the_shipped_bytes_again() {
    let Some(folder) = std::env::var_os("WEFT_DATA").map(PathBuf::from) else {
        eprintln!("left out: WEFT_DATA names no folder of traces");
        return;
    };
    let open = |path: &str| -> io::Result<Box<dyn Read>> {
        let packed = BufReader::new(File::open(folder.join(format!("{path}.zst")))?);
        Ok(Box::new(StreamingDecoder::new(packed).map_err(io::Error::other)?))
    };
    let grown = seed::grow(&open, &mut |_| {}).unwrap();
    let shipped = |name: &str| std::fs::read(format!("{}/seed/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    assert!(grown.model.to_bytes().unwrap() == shipped("forecast.weft"), "forecast.weft");
    assert!(seed::grow_timing(&open).unwrap().to_bytes().unwrap() == shipped("timing.weft"), "timing.weft");
    for score in grown.scores {
        assert!(score.future.calibration_error() <= 0.03, "{}", score.name);
        assert!(score.first.hit_at_3() > 0.25, "{}: a new node is of use in its first minutes", score.name);
    }
}
