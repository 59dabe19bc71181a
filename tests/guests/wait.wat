;; Waits for input that never comes, and skips.
(call $read (call $stdin) (i64.const 1024) (i32.const 7000))
