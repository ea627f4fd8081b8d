// What the page says, in every language. A text in braces is filled in by `say`.

import { readText, writeText } from "./kept.js";

export const WORDS = {
  en: {
    language: "Language", theme: "Light / dark", drop_title: "Take a song apart",
    drop_text: "Drop a song here, or choose one. It stays on this machine.", choose: "Choose a song",
    model: "What you want", more_models: "More models", quality: "Quality", cancel: "Cancel", retry: "Try again",
    loop: "Loop", loop_to: "Loop to here", rate: "Speed", waves: "Waveforms", spectra: "Spectrogram", format: "Format",
    export_mix: "Save this mix", export_all: "Save all stems (zip)",
    export_dawproject: "Project for Bitwig, Cubase, Studio One", export_rpp: "Project for REAPER (zip)", history: "Songs", empty: "No songs yet.",
    keys: "Space: play or pause · arrow keys: 5 seconds back or forward · 1 to 9: mute · Shift + 1 to 9: solo · L: loop · M: marker · , and .: previous and next marker · T: tap the tempo · C: click · O: original · + and −: zoom",
    transpose: "Transpose", zoom: "Zoom", zoom_in: "Zoom in", zoom_out: "Zoom out", zoomed: "Zoom: {times} times",
    plain_speed: "Speed also changes the pitch here, and songs cannot be transposed: this installation has no time stretching, or this browser only allows it over HTTPS.",
    incomplete: "Part of this file is damaged or missing. What could be read was separated.",
    practice: "Practise: markers, tempo, click", add_marker: "Add a marker", markers: "Markers", marker: "Marker {number}", marker_added: "Marker at {time}",
    go_to: "Go to {name}, {time}", name_of: "Name of marker {number}", remove_marker: "Delete {name}", marker_removed: "Marker deleted",
    bpm: "Tempo (BPM)", tap: "Tap", beat_here: "Bar begins here", beats: "Beats in a bar", click: "Click", count_in: "Count in", tempo_is: "{number} BPM",
    loop_set: "Loop from {start} to {stop}", loop_off: "No loop", master: "Everything together", original: "Original",
    clip_on: "Too loud: clipping", clip_off: "No clipping", limiter: "Limiter", no_limiter: "This browser only allows the limiter over HTTPS.",
    no_sensitivity: "Sensitivities cannot be heard here: this installation lacks a library, or this browser only allows them over HTTPS. They do apply to what you save.",
    listening: "What you save keeps the song’s own speed and key, without clicks or limiter: those are for listening only.",
    queue: "Next songs", sooner: "Sooner", later: "Later", moved: "{name} is now number {number}", uploading_one: "Uploading {name} ({number} of {total})…",
    play: "Play", pause: "Pause", mute: "Mute", solo: "Solo", gain: "Level", pan: "Pan", sensitivity: "Sensitivity", save: "Save", remove: "Delete", remove_surely: "Delete for good",
    left_side: "L", right_side: "R", centre: "C", position: "Position", length: "Length", progress: "Progress", view: "View", presets: "Presets",
    queued: "Waiting", running: "Separating", done: "Done", failed: "Failed", cancelled: "Cancelled",
    left: "{time} left", uploading: "Uploading the song…", unreachable: "The server is not responding. Is it still running?",
    unreadable: "This file cannot be read. If it is a folder, please choose the songs inside.",
    karaoke: "Karaoke", a_cappella: "A cappella", drumless: "No drums", practice_bass: "Practise bass", all: "Everything",
    stem_vocals: "vocals", stem_accompaniment: "accompaniment", stem_drums: "drums", stem_bass: "bass", stem_piano: "piano", stem_other: "other",
    stem_instrumental: "instrumental", stem_guitar: "guitar", stem_noise: "noise", stem_no_noise: "no noise", stem_reverb: "reverb",
    stem_no_reverb: "no reverb", stem_noreverb: "no reverb", stem_echo: "echo", stem_no_echo: "no echo", stem_dry: "dry",
    stem_crowd: "crowd", stem_no_crowd: "no crowd", stem_speech: "speech", stem_woodwinds: "woodwinds", stem_no_woodwinds: "no woodwinds",
    stem_male: "male voice", stem_female: "female voice", stem_kick: "kick", stem_snare: "snare", stem_toms: "toms", stem_hh: "hi-hat", stem_ride: "ride", stem_crash: "crash",
    fast: "fast", balanced: "balanced", best: "best", exact: "same as Spleeter",
    purpose_voice: "Voice and music", purpose_four: "Four stems: voice, drums, bass, other",
    purpose_five: "Five stems: the same plus piano", purpose_best: "Best sound (slow)",
    about_voice: "Very fast, good sound. For when you only need the voice, or the song without it.",
    about_four: "Fast, decent sound.", about_five: "Fast, decent sound; the piano is not always cleanly separated.",
    about_best: "By far the best sound with four stems, but much slower: allow half the length of the song.",
    licence_MIT: "Free for any use (MIT licence).", "licence_CC-BY-SA-4.0": "Free for any use, commercial included (CC BY-SA 4.0).",
    licence_research: "For personal and research use only.", licence_unknown: "Its authors do not say what it may be used for.", licence_other: "Licence: {licence}.",
    download: "{size} will be downloaded before the first song.", measured: "On this machine, {times} times faster than playing the song.",
    measured_slow: "On this machine, {times} times as long as the song.",
    consent: "I will only use it privately or for research.", unusable: "cannot be used (“{problem}”)", to_download: "download: {size}",
    of: "{what}: {name}", megabytes: "{number} MB", licences: "Licences",
  },
  fr: {
    language: "Langue", theme: "Clair / sombre", drop_title: "Séparer les pistes d’un morceau",
    drop_text: "Déposez un morceau ici, ou choisissez-en un. Il reste sur cet ordinateur.", choose: "Choisir un morceau",
    model: "Ce que vous voulez obtenir", more_models: "Autres modèles", quality: "Qualité", cancel: "Annuler", retry: "Réessayer",
    loop: "Boucle", loop_to: "Boucler jusqu’ici", rate: "Vitesse", waves: "Formes d’onde", spectra: "Spectrogramme", format: "Format",
    export_mix: "Enregistrer ce mix", export_all: "Enregistrer toutes les pistes (zip)",
    export_dawproject: "Projet pour Bitwig, Cubase, Studio One", export_rpp: "Projet pour REAPER (zip)", history: "Morceaux", empty: "Aucun morceau pour l’instant.",
    keys: "Espace : lecture ou pause · flèches : 5 secondes en arrière ou en avant · 1 à 9 : muet · Maj + 1 à 9 : solo · L : boucle · M : repère · , et . : repère précédent et suivant · T : taper le tempo · C : clic · O : original · + et − : zoom",
    transpose: "Transposer", zoom: "Zoom", zoom_in: "Agrandir", zoom_out: "Réduire", zoomed: "Zoom : {times} fois",
    plain_speed: "Ici, la vitesse change aussi la hauteur, et la transposition est impossible : l’étirement temporel n’est pas installé, ou ce navigateur ne le permet qu’en HTTPS.",
    incomplete: "Une partie de ce fichier est endommagée ou manquante. Ce qui a pu être lu a été séparé.",
    practice: "Travailler : repères, tempo, clic", add_marker: "Ajouter un repère", markers: "Repères", marker: "Repère {number}", marker_added: "Repère à {time}",
    go_to: "Aller à {name}, {time}", name_of: "Nom du repère {number}", remove_marker: "Supprimer {name}", marker_removed: "Repère supprimé",
    bpm: "Tempo (BPM)", tap: "Taper le tempo", beat_here: "La mesure commence ici", beats: "Temps par mesure", click: "Clic", count_in: "Décompte", tempo_is: "{number} BPM",
    loop_set: "Boucle de {start} à {stop}", loop_off: "Pas de boucle", master: "Ensemble", original: "Original",
    clip_on: "Trop fort : saturation", clip_off: "Pas de saturation", limiter: "Limiteur", no_limiter: "Ce navigateur ne permet le limiteur qu’en HTTPS.",
    no_sensitivity: "Les sensibilités ne s’entendent pas ici : il manque une bibliothèque à cette installation, ou ce navigateur ne les permet qu’en HTTPS. Elles s’appliquent toutefois à ce que vous enregistrez.",
    listening: "Ce que vous enregistrez garde la vitesse et la tonalité du morceau, sans clic ni limiteur : ceux-ci ne servent qu’à l’écoute.",
    queue: "Prochains morceaux", sooner: "Plus tôt", later: "Plus tard", moved: "{name} est maintenant numéro {number}", uploading_one: "Envoi de {name} ({number} sur {total})…",
    play: "Lecture", pause: "Pause", mute: "Muet", solo: "Solo", gain: "Niveau", pan: "Panoramique", sensitivity: "Sensibilité", save: "Enregistrer", remove: "Supprimer", remove_surely: "Supprimer définitivement",
    left_side: "G", right_side: "D", centre: "C", position: "Position", length: "Durée", progress: "Progression", view: "Affichage", presets: "Préréglages",
    queued: "En attente", running: "Séparation en cours", done: "Terminé", failed: "Échec", cancelled: "Annulé",
    left: "il reste {time}", uploading: "Envoi du morceau…", unreachable: "Le serveur ne répond pas. Est-il toujours en marche ?",
    unreadable: "Ce fichier est illisible. Si c’est un dossier, veuillez choisir les morceaux qu’il contient.",
    karaoke: "Karaoké", a_cappella: "A cappella", drumless: "Sans batterie", practice_bass: "Travailler la basse", all: "Tout",
    stem_vocals: "voix", stem_accompaniment: "accompagnement", stem_drums: "batterie", stem_bass: "basse", stem_piano: "piano", stem_other: "autres",
    stem_instrumental: "instrumental", stem_guitar: "guitare", stem_noise: "bruit", stem_no_noise: "sans bruit", stem_reverb: "réverbération",
    stem_no_reverb: "sans réverbération", stem_noreverb: "sans réverbération", stem_echo: "écho", stem_no_echo: "sans écho", stem_dry: "son sec",
    stem_crowd: "public", stem_no_crowd: "sans public", stem_speech: "parole", stem_woodwinds: "bois", stem_no_woodwinds: "sans bois",
    stem_male: "voix d’homme", stem_female: "voix de femme", stem_kick: "grosse caisse", stem_snare: "caisse claire", stem_toms: "toms", stem_hh: "charleston", stem_ride: "ride", stem_crash: "crash",
    fast: "rapide", balanced: "équilibrée", best: "maximale", exact: "identique à Spleeter",
    purpose_voice: "Voix et musique", purpose_four: "Quatre pistes : voix, batterie, basse, autres",
    purpose_five: "Cinq pistes : les mêmes, plus le piano", purpose_best: "Le meilleur son (lent)",
    about_voice: "Très rapide, bon son. Pour obtenir la voix seule, ou le morceau sans la voix.",
    about_four: "Rapide, son correct.", about_five: "Rapide, son correct ; le piano n’est pas toujours bien isolé.",
    about_best: "De loin le meilleur son en quatre pistes, mais bien plus lent : comptez la moitié de la durée du morceau.",
    licence_MIT: "Utilisation libre (licence MIT).", "licence_CC-BY-SA-4.0": "Utilisation libre, même commerciale (CC BY-SA 4.0).",
    licence_research: "Réservé à l’usage personnel et à la recherche.", licence_unknown: "Ses auteurs ne disent pas à quoi il peut servir.", licence_other: "Licence : {licence}.",
    download: "{size} seront téléchargés avant le premier morceau.", measured: "Sur cet ordinateur, {times} fois plus rapide que la lecture du morceau.",
    measured_slow: "Sur cet ordinateur, {times} fois la durée du morceau.",
    consent: "Je l’utiliserai uniquement à titre personnel ou pour la recherche.", unusable: "inutilisable (« {problem} »)", to_download: "téléchargement : {size}",
    of: "{what} : {name}", megabytes: "{number} Mo", licences: "Licences",
  },
};

// What cannot be done, by the code of the refusal: studio/refusals.py has the English sentences of the server once more, and the
// rest is said by the web edition alone.
export const REFUSALS = {
  en: {
    no_job: "This song does not exist; perhaps it was deleted.", no_stem: "This song has no such stem.",
    not_done: "The song has not been separated yet.", ended: "The separation has already ended.",
    not_ended: "The song is still being separated.", not_waiting: "The song is no longer waiting.", queue_full: "Too many songs are waiting. Please try again later.",
    too_large: "The file is larger than {mebibytes} MiB.", too_long: "The song is longer than {minutes} minutes.",
    disk_full: "The space for songs is used up. Please delete some songs.",
    disk_error: "The server cannot use its disk. The system says: “{reason}”.", empty: "The file is empty.",
    no_audio: "This file contains no audio that can be read.", damaged: "This file is damaged.",
    cut_off: "This file is incomplete: the recording, the copy or the download was cut off.",
    web_page: "This is a web page, not audio: the download probably failed.",
    archive: "This is an archive. Please unpack it and choose the song inside.",
    midi: "This is a MIDI file: it contains notes, but no sound.", playlist: "This is a playlist. Please choose the songs themselves.",
    no_model: "There is no model called {name}.", bad_model: "This model cannot be used. The program says: “{reason}”.",
    no_download: "The model could not be downloaded. Please check the internet connection.",
    no_memory: "There is not enough memory for this. Closing other programs or tabs may help.",
    needs_consent: "This model is for personal and research use only. Please confirm that this is how you will use it.",
    bad_option: "This is not possible. The program says: “{reason}”.", failed: "The separation failed. The program says: “{reason}”.",
    broken: "Something went wrong. See the server’s log for details.", wrong_host: "This server can only be reached under its own address.",
    no_token: "You need an access token: open the address that the server printed.",
    other_site: "Requests from other sites are refused.",
    insecure: "This page only works over a secure connection. Please begin its address with “https” instead of “http”.",
    no_storage: "This browser does not let the page keep songs. Perhaps this is a private window, or the browser’s storage is full.",
  },
  fr: {
    no_job: "Ce morceau n’existe pas ; il a peut-être été supprimé.", no_stem: "Ce morceau n’a pas cette piste.",
    not_done: "Le morceau n’a pas encore été séparé.", ended: "La séparation est déjà terminée.",
    not_ended: "La séparation du morceau est encore en cours.", not_waiting: "Le morceau n’est plus en attente.", queue_full: "Trop de morceaux sont en attente. Veuillez réessayer plus tard.",
    too_large: "Le fichier dépasse {mebibytes} Mio.", too_long: "Le morceau dure plus de {minutes} minutes.",
    disk_full: "L’espace réservé aux morceaux est épuisé. Veuillez en supprimer quelques-uns.",
    disk_error: "Le serveur ne peut pas utiliser son disque. Message du système, en anglais : « {reason} ».", empty: "Le fichier est vide.",
    no_audio: "Ce fichier ne contient pas d’audio lisible.", damaged: "Ce fichier est endommagé.",
    cut_off: "Ce fichier est incomplet : l’enregistrement, la copie ou le téléchargement a été interrompu.",
    web_page: "Ce fichier est une page web, et non de l’audio : le téléchargement a sans doute échoué.",
    archive: "Ce fichier est une archive. Veuillez la décompresser, puis choisir le morceau qu’elle contient.",
    midi: "C’est un fichier MIDI : il contient des notes, mais pas de son.", playlist: "Ce fichier est une liste de lecture. Veuillez choisir les morceaux eux-mêmes.",
    no_model: "Il n’existe pas de modèle nommé {name}.", bad_model: "Ce modèle est inutilisable. Message du programme, en anglais : « {reason} ».",
    no_download: "Le modèle n’a pas pu être téléchargé. Veuillez vérifier la connexion à internet.",
    no_memory: "La mémoire est insuffisante. Fermer d’autres programmes ou d’autres onglets peut aider.",
    needs_consent: "Ce modèle est réservé à l’usage personnel et à la recherche. Veuillez confirmer que c’est bien l’usage que vous en ferez.",
    bad_option: "C’est impossible. Message du programme, en anglais : « {reason} ».", failed: "La séparation a échoué. Message du programme, en anglais : « {reason} ».",
    broken: "Une erreur s’est produite. Consultez le journal du serveur pour en savoir plus.", wrong_host: "Ce serveur n’est accessible qu’à sa propre adresse.",
    no_token: "Un jeton d’accès est nécessaire : ouvrez l’adresse affichée par le serveur.",
    other_site: "Les requêtes provenant d’autres sites sont refusées.",
    insecure: "Cette page ne fonctionne qu’avec une connexion sécurisée. Veuillez commencer son adresse par « https » au lieu de « http ».",
    no_storage: "Ce navigateur ne permet pas à la page de conserver des morceaux. C’est peut-être une fenêtre privée, ou l’espace de stockage du navigateur est plein.",
  },
};

let language = readText("language");
if (!WORDS[language]) language = navigator.language.startsWith("fr") ? "fr" : "en";

// In French there is a space before and after some signs, at which no line may end.
const spaced = (text) => (language === "fr" ? text.replace(/ ([:;!?»])/g, "\u202f$1").replaceAll("« ", "«\u202f") : text);
const filled = (text, values) => spaced(text).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

export const currentLanguage = () => language;
export const knows = (key) => key in WORDS[language];
export const say = (key, values = {}) => filled(WORDS[language][key] ?? key, values);
// Models may call their stems anything, also what the page has another word for.
export const sayStem = (stem) => WORDS[language][`stem_${stem}`] ?? stem.replaceAll("_", " ");
// What a button does to something, for those who hear it.
export const sayOf = (what, name) => say("of", { what: say(what), name });
export const sayRefusal = (code, values, otherwise) => (REFUSALS[language][code] ? filled(REFUSALS[language][code], values ?? {}) : otherwise);
export const sayNumber = (number, digits = 0) => number.toLocaleString(language, { maximumFractionDigits: digits });
export const sayShare = (share) => share.toLocaleString(language, { style: "percent", maximumFractionDigits: 0 });
export const sayLevel = (db) => (db <= -60 ? "−∞ dB" : `${db > 0 ? "+" : db < 0 ? "−" : ""}${Math.abs(db).toLocaleString(language, { minimumFractionDigits: 1, maximumFractionDigits: 1 })} dB`);
export const sayBytes = (bytes) => say("megabytes", { number: sayNumber(Math.max(1, bytes / 1e6)) });

// Minutes and seconds, and hours where there are any.
export function clock(seconds) {
  const whole = Math.floor(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const parts = hours ? [hours, String(minutes).padStart(2, "0")] : [minutes];
  return [...parts, String(whole % 60).padStart(2, "0")].join(":");
}

// For those who cannot see what changed on the screen.
export function announce(text) {
  document.getElementById("announcement").textContent = text;
}

export function setLanguage(chosen) {
  language = chosen;
  writeText("language", chosen);
  document.documentElement.lang = chosen;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", say(element.dataset.label));
}
