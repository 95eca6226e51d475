// What this browser keeps of a visitor; nothing where it may not.

export function remembered(name) {
  try {
    return localStorage.getItem(`trazo-${name}`) ?? "";
  } catch {
    return "";
  }
}

export function rememberAs(name, value) {
  try {
    localStorage.setItem(`trazo-${name}`, value);
  } catch {
    // then it is asked again the next time
  }
}
