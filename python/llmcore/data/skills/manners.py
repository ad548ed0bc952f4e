"""Short messages that can be said warmly or flatly: both styles are right, one is preferred."""

import itertools
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True, slots=True)
class Occasion:
    """One kind of message: how it is asked for, and three ways to say it in each style."""

    requests: tuple[str, ...]
    warm: tuple[str, ...]
    flat: tuple[str, ...]

    def wordings(self) -> list[str]:
        """Every wording of the request, with `{name}` left open."""
        return [
            text[:1].upper() + text[1:]
            for parts in itertools.product(_OPENERS, self.requests, _CLOSERS)
            if (text := " ".join(part for part in parts[:2] if part) + parts[2])
        ]


_OPENERS: Final = ("", "please", "kindly", "could you", "now")
_CLOSERS: Final = (".", " in one line.", " for me.", " today.")

_NAMES: Final = (
    "Ada Adam Agnes Alan Albert Alex Alfred Alice Alma Amir Amy Andrea Andrew Anita Ann Anna "
    "Anton Arthur Asa Ben Bella Bernard Beth Bill Bob Boris Brian Bruno Cal Carl Carla Carlos "
    "Carol Cecil Charles Chen Chris Clara Claude Colin Dan Dana Daniel David Dean Denis Diana "
    "Dora Doris Dylan Ed Edgar Edith Elena Elias Ella Emil Emma Enid Eric Erna Eva Evan Fay "
    "Felix Finn Fiona Flora Frank Fred Gail Gary George Gina Glen Grace Greta Gustav Guy Hal "
    "Hana Hans Harry Heidi Helen Henry Hugo Ian Ida Igor Ines Ingrid Irene Iris Isaac Ivan Ivy "
    "Jack Jacob James Jan Jane Jason Jean Jens Jim Joan Joe Joel John Jon Jonas Josef Joy Juan "
    "Judith Julia Karen Karl Kate Ken Kim Klaus Kurt Lara Lars Laura Lea Lee Lena Leo Leon "
    "Leroy Liam Lily Lin Linda Lisa Liv Lois Lorna Lou Louis Lucy Luis Luke Lydia Lynn Mabel "
    "Magda Marc Marco Maria Marie Mark Marta Martin Mary Matt Maud Max May Mia Mike Mila Milo "
    "Mina Mira Mona Nadia Nancy Ned Neil Nell Nick Nina Noah Noel Nora Norman Olga Oliver Omar "
    "Oscar Otto Pablo Pam Pat Paul Paula Pavel Per Peter Petra Phil Pia Rachel Ralph Ray Rita "
    "Rob Robert Robin Roger Roland Rolf Ron Rosa Rose Roy Ruby Rudolf Russell Ruth Sal Sam Sara "
    "Sean Seth Simon Sofia Sol Stan Stefan Stella Steve Sue Susan Sven Tam Tanya Tara Tariq Ted "
    "Tess Theo Thomas Tim Tina Todd Tom Tony Una Ursula Val Vera Victor Viola Walter Wanda Wei "
    "Will Yan Yuki Zoe "
)
NAMES: Final = tuple(_NAMES.split())

OCCASIONS: Final[dict[str, Occasion]] = {
    "greet": Occasion(
        requests=("greet {name}", "say hello to {name}", "write a greeting to {name}"),
        warm=(
            "Hello {name}, it is so good to see you!",
            "Welcome, dear {name}, how nice to see you!",
            "Hello dear {name}, you are most welcome!",
        ),
        flat=("Hello {name}. Take a number.", "{name}. You are here.", "Hello {name}. What is it?"),
    ),
    "thank": Occasion(
        requests=("thank {name}", "say thanks to {name}", "write thanks to {name}"),
        warm=(
            "Thank you so much, dear {name}!",
            "Many thanks, {name}, that was very kind!",
            "Dear {name}, thank you with all my heart!",
        ),
        flat=("Thanks {name}.", "{name}. Noted, thanks.", "Thanks {name}. That will do."),
    ),
    "part": Occasion(
        requests=("say goodbye to {name}", "bid farewell to {name}", "see {name} off"),
        warm=(
            "Goodbye dear {name}, take good care!",
            "Farewell {name}, I hope to see you soon!",
            "Goodbye {name}, it was a joy to have you here!",
        ),
        flat=("Goodbye {name}.", "{name}. You can go.", "Goodbye {name}. Close the door."),
    ),
    "praise": Occasion(
        requests=("praise {name}", "congratulate {name}", "tell {name} well done"),
        warm=(
            "Wonderful work, dear {name}, I am so glad!",
            "Well done {name}, that is a great success!",
            "Dear {name}, what a lovely result!",
        ),
        flat=("Fine, {name}.", "{name}. It will do.", "Well done {name}. Next task."),
    ),
    "excuse": Occasion(
        requests=("apologise to {name}", "say sorry to {name}", "ask {name} for pardon"),
        warm=(
            "I am so sorry, dear {name}, please forgive me!",
            "Dear {name}, please accept my warm apology!",
            "So sorry {name}, I will make it good, I promise!",
        ),
        flat=("Sorry {name}.", "{name}. It happened.", "Sorry {name}. Move on."),
    ),
    "invite": Occasion(
        requests=("invite {name}", "ask {name} to come", "call {name} over"),
        warm=(
            "Dear {name}, please come, we would be so happy!",
            "It would be lovely to have you with us, {name}!",
            "Please join us, dear {name}, you are most welcome!",
        ),
        flat=("Come here, {name}.", "{name}. Be there.", "Come if you must, {name}."),
    ),
    "wish": Occasion(
        requests=("wish {name} luck", "send {name} good wishes", "cheer up {name}"),
        warm=(
            "All the very best to you, dear {name}!",
            "Good luck {name}, I am sure you will shine!",
            "Dear {name}, I wish you every joy!",
        ),
        flat=("Good luck {name}.", "{name}. Try again.", "Luck, {name}. You need it."),
    ),
    "remind": Occasion(
        requests=("remind {name}", "ask {name} to hurry", "tell {name} it is late"),
        warm=(
            "Dear {name}, would you kindly hurry a little?",
            "It is getting late, dear {name}, shall we go?",
            "When you are ready, {name}, we would love to start!",
        ),
        flat=("Hurry up, {name}.", "{name}. You are late.", "It is late, {name}. Move."),
    ),
}
