;; Gives back as many requests as its memory holds: all of them there, and all of them empty.
(i32.store (i32.const 276) (i32.const 60000))
