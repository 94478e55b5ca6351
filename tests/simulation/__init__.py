"""The server in a bottle: the real hub, actions and storage, with time, threads and TCP in a test's hands.

A run is a list of steps (`steps`). They move a `World`: a `Server` on a `VirtualLoop`, over a real database whose
threads run only when they are told to, and clients that keep a cursor and an outbox as docs/protocol.md has it
(`client`), on wires of which each side takes as much as it is told to. What was committed is the `History`; `check`
holds against it what every client was told. Nothing is left to chance: the same steps are the same run.

`BESEDA_TEST_SIMULATION=5000` runs so many examples instead of the few of the gate, other ones each time. What fails is
printed as steps, which `test_simulation.replay` runs again.
"""
