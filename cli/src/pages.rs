//! Lists that the API gives in pages.

/// Goes over as many pages as it takes: one may be short and still not be the last. `page` gets how many rows
/// to ask for, at most `most`, and where to go on. Returns the rows, and where the list goes on after them.
pub(crate) async fn collect<T, E>(
    limit: usize,
    most: usize,
    mut page: impl AsyncFnMut(usize, Option<String>) -> Result<(Vec<T>, Option<String>), E>,
) -> Result<(Vec<T>, Option<String>), E> {
    let (mut items, mut next) = (Vec::new(), None);
    while items.len() < limit {
        let (more, after) = page((limit - items.len()).min(most), next.take()).await?;
        items.extend(more);
        next = after;
        if next.is_none() {
            break;
        }
    }
    Ok((items, next))
}
