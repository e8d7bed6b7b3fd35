"""Starts of sentences of the texts that the small models were trained on: licences (opt-tiny),
messages of perldiag(1) (llama-tiny), and git's tutorials (qwen2-tiny)."""

PROMPTS: dict[str, list[str]] = {
    "opt-tiny": [
        "The GNU General Public License is a free, copyleft license for software",
        '"Massive Multiauthor Collaboration',
        "To protect your rights, we need",
        "When we speak of free software, we are",
        "Activities other than copying,",
        "Some devices are designed to deny users",
        "You may make, run and propagate",
        "You should have received a copy of",
        "THERE IS NO WARRANTY FOR THE PROGRAM",
        "The precise terms and conditions for copying, distribution and",
    ],
    "llama-tiny": [
        "(F) You aren't",
        "(W io) You opened for reading a filehandle that",
        "(F) You tried to use",
        "(F) Your machine doesn't implement",
        "(W misc) You",
        "(W syntax) You used",
        "(F) The regular expression",
        "(W numeric) The indicated string was",
        "Setting it to anything other than undef is a fatal error as",
        "(F) You don't have System V",
    ],
    "qwen2-tiny": [
        "This is not",
        "Both fixes are tested well, and at this point,",
        "git pull is slightly cumbersome for HTTP transport, as a packed repository",
        "If you are",
        "A commit",
        "Note that",
        "It is also",
        "hello, and we used a shorthand for doing both",
    ],
}
