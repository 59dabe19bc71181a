;; Wants more random bytes at once than anybody gets, though the host could make them.
(call $random_bytes (i64.const 131072) (i32.const 7000))
