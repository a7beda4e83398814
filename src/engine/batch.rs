//! What a worker takes at a time.

use blake2b_simd::many;

/// Files of this size or larger are taken alone: read ahead of its turn is what takes less memory.
pub(super) const SMALL: u64 = 64 << 10;

/// Files a worker below which each is taken alone, so that a small project keeps all workers busy.
const FEW: usize = 16;

/// Parts `items` into runs, each for one worker: as many small neighbours as can be hashed in the time of one.
pub(super) fn batches<T>(mut rest: &mut [T], workers: usize, size: impl Fn(&T) -> u64) -> Vec<&mut [T]> {
    let most = if rest.len() < FEW * workers { 1 } else { many::degree() };
    let mut batches = Vec::new();
    while !rest.is_empty() {
        let small = rest.iter().take(most).take_while(|item| size(item) < SMALL).count();
        let (batch, others) = rest.split_at_mut(small.max(1));
        batches.push(batch);
        rest = others;
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(sizes: &[u64], workers: usize) -> Vec<usize> {
        let mut items: Vec<(usize, u64)> = sizes.iter().copied().enumerate().collect();
        let batches = batches(&mut items, workers, |item| item.1);
        let order: Vec<usize> = batches.iter().flat_map(|batch| batch.iter().map(|item| item.0)).collect();
        assert_eq!(order, (0..sizes.len()).collect::<Vec<_>>());
        batches.iter().map(|batch| batch.len()).collect()
    }

    #[test]
    fn small_neighbours_go_together_and_large_files_alone() {
        let degree = many::degree();
        let sizes = [&[SMALL + 1, SMALL][..], &[SMALL - 1; 33]].concat();
        let lengths = lengths(&sizes, 1);
        assert_eq!(&lengths[..3], [1, 1, degree]);
        assert_eq!(lengths.len(), 2 + 33usize.div_ceil(degree));
        assert_eq!(lengths.iter().max(), Some(&degree));
    }

    #[test]
    fn a_large_file_ends_a_batch() {
        let sizes = [&[1, SMALL][..], &[0; 16]].concat();
        assert_eq!(&lengths(&sizes, 1)[..2], [1, 1]);
    }

    #[test]
    fn few_files_are_spread() {
        assert_eq!(lengths(&[], 1), Vec::<usize>::new());
        assert_eq!(lengths(&[9; 31], 2), [1; 31]);
        assert_eq!(lengths(&[9; 32], 2).len(), 32usize.div_ceil(many::degree()));
    }
}
