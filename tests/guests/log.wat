;; Logs without end.
(loop $again
  (call $log (i32.const 2) (i32.const 8192) (i32.const 4) (i32.const 0) (i32.const 0))
  (br $again))
