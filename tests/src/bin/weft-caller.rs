//! A caller to be started inside a watched cgroup; see [`weft_tests::caller`].
fn main() -> anyhow::Result<()> {
    weft_tests::caller::serve()
}
