//! The shortest sequence that still fails.

/// Leaves out of `steps` what can be left out while `fails` holds, at most `attempts` times asked.
pub(crate) fn shrink<T: Clone>(
    mut steps: Vec<T>,
    mut attempts: usize,
    mut fails: impl FnMut(&[T]) -> bool,
) -> Vec<T> {
    let mut size = steps.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        let before = steps.len();
        while at < steps.len() {
            if attempts == 0 {
                return steps;
            }
            attempts -= 1;
            let end = (at + size).min(steps.len());
            let shorter = [&steps[..at], &steps[end..]].concat();
            if fails(&shorter) {
                steps = shorter;
            } else {
                at = end;
            }
        }
        // Single steps are tried until none can go.
        if size > 1 || steps.len() == before {
            size /= 2;
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::shrink;

    #[test]
    fn what_is_needed_stays_and_all_else_goes() {
        let needed = |steps: &[u32]| [3, 500, 501, 999].iter().all(|step| steps.contains(step));
        assert_eq!(shrink((0..1000).collect(), 10_000, needed), [3, 500, 501, 999]);
        // One that can go only when another one has gone.
        let odd = |steps: &[u32]| steps.contains(&7) && (steps.contains(&2) || !steps.contains(&40));
        assert_eq!(shrink((0..64).collect(), 10_000, odd), [7]);
    }

    #[test]
    fn it_ends_when_it_has_asked_often_enough() {
        let mut asked = 0;
        let left = shrink((0..100).collect(), 5, |_: &[u32]| {
            asked += 1;
            false
        });
        assert_eq!((left.len(), asked), (100, 5));
    }
}
