/* The byte alphabet of byte-level BPE: each of the 256 bytes has a printable character that stands
 * for it in a tokenizer.json. Source: bytes_to_unicode() of GPT-2's encoder (OpenAI, 2019): bytes
 * that Latin-1 prints stand for themselves, the others, in order, for U+0100 and on. */
#ifndef SS_PIPELINE_TEXT_BYTE_ALPHABET_H
#define SS_PIPELINE_TEXT_BYTE_ALPHABET_H

#include <stddef.h>
#include <stdint.h>

uint32_t ss_byte_alphabet_char(uint8_t byte);

/* The byte that CHARACTER stands for; -1 if it is not in the alphabet. */
int ss_byte_alphabet_byte(uint32_t character);

/* Writes the BYTES at IN as characters of the alphabet, in UTF-8, to OUT, which has room for
 * 2 * BYTES; returns how many bytes it wrote. */
size_t ss_byte_alphabet_spell(const uint8_t *in, size_t bytes, uint8_t *out);

/* Writes the bytes that the valid UTF-8 at TEXT spells to OUT, which has room for BYTES, and
 * returns how many they are; where TEXT holds a character outside the alphabet, TEXT itself. */
size_t ss_byte_alphabet_read(const uint8_t *text, size_t bytes, uint8_t *out);

#endif
