/** Names and arguments in what is said of them: whole where such a name can exist, else cut to what can be read. */

const LONG_WORD = /\S{301,}/gu;

/** The same text, with nothing but the beginning and the end of words of more than 300 characters. */
export function cutLongWords(text: string): string {
  return text.replaceAll(LONG_WORD, (word) => `${word.slice(0, 200)}…${word.slice(-40)}`);
}
