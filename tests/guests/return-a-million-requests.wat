;; Says that its verdict has a million requests.
(i32.store (i32.const 276) (i32.const 1000000))
