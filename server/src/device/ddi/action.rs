//! Pure: the ids by which clients know updates, made of their numbers and turned back into them.
//!
//! Clients keep 32 bits, and old Zephyr reads an id without its first digit and takes zero for none. So ids begin at 1001 and never end in 0: the
//! numbers 1 to 9 are 1001 to 1009, 10 is 1011. Some 1.9 thousand million updates fit.

const FIRST: i64 = 1001;
const LAST: i64 = 2_147_483_647;

/// The id of an update's number, which begin at 1.
pub(super) const fn id(number: i64) -> i64 {
    FIRST + (number - 1) / 9 * 10 + (number - 1) % 9
}

/// The number behind an id; none when no number has it.
pub(super) fn number(id: &str) -> Option<i64> {
    let digits = !id.starts_with('0') && id.bytes().all(|b| b.is_ascii_digit());
    let id: i64 = id.parse().ok().filter(|id| digits && (FIRST..=LAST).contains(id))?;
    let (tens, ones) = ((id - FIRST) / 10, (id - FIRST) % 10);
    (ones < 9).then_some(tens * 9 + ones + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_ids() {
        assert_eq!([1, 9, 10, 899, 900, 901].map(id), [1001, 1009, 1011, 1998, 1999, 2001]);
        for wrong in ["", "0", "1000", "1010", "01001", "+1001", "1001 ", "2147483651", "99999999999999999999", "upd_1"] {
            assert_eq!(number(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn an_id_is_one_number_and_reads_without_its_first_digit(n in 1_i64..1_900_000_000) {
            let text = id(n).to_string();
            prop_assert_eq!(number(&text), Some(n));
            prop_assert!(text[1..].parse::<i64>().unwrap() > 0 && id(n) <= LAST);
        }
    }
}
