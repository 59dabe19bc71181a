;; Spins.
(loop $again (br $again))
