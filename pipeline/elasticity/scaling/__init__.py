"""The flight recorder: scaling decisions and the pods that they caused."""
