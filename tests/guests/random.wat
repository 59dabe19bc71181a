;; Wants a tebibyte of random numbers.
(call $random_bytes (i64.const 1099511627776) (i32.const 7000))
