;; Says that the body of its request has 1 GiB.
(i32.store (i32.const 552) (i32.const 1073741824))
