//! An order of all values of an element type.

use std::cmp::Ordering;

/// Ascending, with not-a-number below every number; where C++'s `<` leaves its place open.
pub fn order<T: PartialOrd>(left: &T, right: &T) -> Ordering {
    let is_nan = |x: &T| x.partial_cmp(x).is_none();
    left.partial_cmp(right)
        .unwrap_or_else(|| is_nan(right).cmp(&is_nan(left)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_a_number_stands_first_and_zeros_are_equal() {
        let mut values = [1.0, f32::NAN, -1.0, f32::NEG_INFINITY, f32::NAN];
        values.sort_unstable_by(order);
        assert!(values[0].is_nan() && values[1].is_nan());
        assert_eq!(values[2..], [f32::NEG_INFINITY, -1.0, 1.0]);
        assert_eq!(order(&0.0f32, &-0.0), Ordering::Equal);
    }
}
