"""The nonce before a prompt: five common words, so that its length in tokens does not depend on its value."""

import hashlib

_TEXT = """
    access account action age agent aim air answer arm art article arts average balance base basic bay
    birth black board bond border brief capital cast center channel check child choice city class coal
    code coin collect company complex cost course cover credit cross current custom deep degree design
    detail domain door draw drive earth element energy entry event example fact factor factory family
    feature field final fire fit flag focus foot forest form friend front gas goal gold grade grant
    ground group growth guard guide half head heart home hour house idea iron issue key king lake land
    law leader length letter level limit line list mark market mass master mean medium member memory
    message method mind mine mode model money month mother mouth nation native net neutral news night
    normal note number offer office order origin pace paper park part partial party path payment place
    plain plant point policy popular post press price primary prime process product profit project
    prompt quality quarter quiet rail range rank ratio record red region report request rest result
    return review river road role room route rule scale school scope season seat section series service
    set shape ship show signal size skill slow solid sound source south space spring stable staff stage
    stand start station status stock storage story student success sum talk task term test title top
    touch town trade train turn type uniform unique unit urban utility value view vision visit voice
    volume walk wall warning water week weight west white woman word world worth year yield zone
"""
NONCE_WORDS = tuple(_TEXT.split())
"""256 words, each of them one token in the vocabularies of Mistral, Qwen and SmolLM2."""
_WORDS = 5


def nonce(name: str) -> str:
    """Five words and a space: the same for the same name, one of 256⁵ otherwise."""
    digest = hashlib.blake2b(name.encode(), digest_size=_WORDS).digest()
    return " ".join(NONCE_WORDS[byte] for byte in digest) + " "


LONGEST_NONCE = _WORDS * (max(map(len, NONCE_WORDS)) + 1)
"""Its most characters, all of them ASCII."""
