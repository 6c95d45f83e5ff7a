//! Makes one socket inside a watched cgroup and hands it out; see [`weft_tests::dial`].
fn main() -> anyhow::Result<()> {
    weft_tests::dial::serve()
}
