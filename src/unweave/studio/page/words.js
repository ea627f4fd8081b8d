// What the page says.

const WORDS = {
  en: {
    language: "Language", theme: "Light / dark", drop_title: "Take a song apart",
    drop_text: "Drop a song here, or choose one. It stays on this machine.", choose: "Choose a song",
    model: "Model", quality: "Quality", cancel: "Cancel", retry: "Try again", loop: "Loop", rate: "Speed",
    waves: "Waveforms", spectra: "Spectrogram", format: "Format", export_mix: "Save the mix as heard",
    export_all: "Save all stems (zip)", history: "Songs", empty: "Nothing here yet.",
    keys: "Space plays, arrows seek, 1 to 9 mute, shift and 1 to 9 solo, L loops.",
    play: "Play", pause: "Pause", mute: "Mute", solo: "Solo", gain: "Level", pan: "Pan", save: "Save", remove: "Delete",
    queued: "Waiting", running: "Separating", done: "Done", failed: "Failed", cancelled: "Cancelled",
    left: "left", uploading: "Bringing the song here…", licence: "Licence of the model", fetched: "is fetched first",
    karaoke: "Karaoke", a_cappella: "A cappella", drumless: "Drumless", practice_bass: "Practice bass", all: "All",
    vocals: "vocals", accompaniment: "accompaniment", drums: "drums", bass: "bass", piano: "piano", other: "other",
    fast: "fast", balanced: "balanced", best: "best", exact: "as Spleeter", loop_from: "Loop from here", loop_to: "Loop to here",
  },
  fr: {
    language: "Langue", theme: "Clair / sombre", drop_title: "Démêler une chanson",
    drop_text: "Déposez une chanson ici, ou choisissez-en une. Elle reste sur cette machine.", choose: "Choisir une chanson",
    model: "Modèle", quality: "Qualité", cancel: "Annuler", retry: "Réessayer", loop: "Boucle", rate: "Vitesse",
    waves: "Formes d’onde", spectra: "Spectrogramme", format: "Format", export_mix: "Enregistrer le mix entendu",
    export_all: "Enregistrer toutes les pistes (zip)", history: "Chansons", empty: "Rien pour l’instant.",
    keys: "Espace : lecture ; flèches : déplacement ; 1 à 9 : muet ; maj + 1 à 9 : solo ; L : boucle.",
    play: "Lecture", pause: "Pause", mute: "Muet", solo: "Solo", gain: "Niveau", pan: "Panoramique", save: "Enregistrer", remove: "Supprimer",
    queued: "En attente", running: "Séparation", done: "Terminé", failed: "Échec", cancelled: "Annulé",
    left: "restantes", uploading: "Transfert de la chanson…", licence: "Licence du modèle", fetched: "est téléchargé d’abord",
    karaoke: "Karaoké", a_cappella: "A cappella", drumless: "Sans batterie", practice_bass: "Travailler la basse", all: "Tout",
    vocals: "voix", accompaniment: "accompagnement", drums: "batterie", bass: "basse", piano: "piano", other: "autres",
    fast: "rapide", balanced: "équilibrée", best: "la meilleure", exact: "comme Spleeter", loop_from: "Boucler d’ici", loop_to: "Boucler jusqu’ici",
  },
};

let language = localStorage.getItem("language") ?? (navigator.language.startsWith("fr") ? "fr" : "en");

export const currentLanguage = () => language;
export const say = (key) => WORDS[language][key] ?? key;

export function setLanguage(chosen) {
  language = chosen;
  localStorage.setItem("language", chosen);
  document.documentElement.lang = chosen;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text);
}
