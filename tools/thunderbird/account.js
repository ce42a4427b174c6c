// What is done inside Thunderbird: the Account Hub is used as a person would, and what came of it is read.

const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");

const main = () => Services.wm.getMostRecentWindow("mail:3pane");

// The first element below `root` that matches, in shadow roots too.
function find(root, selector) {
  const here = root.querySelector(selector);
  if (here) {
    return here;
  }
  for (const element of [root, ...root.querySelectorAll("*")]) {
    const inside = element.openOrClosedShadowRoot;
    const there = inside && find(inside, selector);
    if (there) {
      return there;
    }
  }
  return null;
}

// Asks until there is an answer. The driver's own limit ends what takes too long.
async function until(what, ask) {
  const end = Date.now() + 90000;
  for (;;) {
    const answer = await ask();
    if (answer) {
      return answer;
    }
    if (Date.now() > end) {
      throw new Error(`waited in vain for ${what}; the hub shows ${JSON.stringify(shown())}`);
    }
    await new Promise(resolve => setTimeout(resolve, 50));
  }
}

const hub = () => find(main().document, "account-hub-email");
const step = () => [...(hub()?.querySelectorAll("[id$=Subview]") ?? [])].find(view => !view.hidden);

// What a person would see: the step, and the notification above it. Between two steps there is none.
function shown() {
  if (!step()) {
    return { step: "", notice: "", error: false };
  }
  const notice = find(step(), "#emailFormNotification:not([hidden])");
  return {
    step: step().id,
    notice: notice?.textContent.replace(/\s+/g, " ").trim() ?? "",
    error: notice?.classList.contains("error") ?? false,
  };
}

async function trust(pem) {
  const base64 = pem.replace(/-----(BEGIN|END) CERTIFICATE-----/g, "").replace(/\s/g, "");
  const db = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
  db.addCertFromBase64(base64, "C,,");
}

const version = () => `${Services.appinfo.name} ${Services.appinfo.version}`;

async function forward() {
  const button = await until("the button", () => {
    const found = find(hub(), "#forward");
    return found && !found.disabled && !found.hidden && found;
  });
  button.click();
}

// Opens the hub, types a name and an address, and goes on.
async function ask(name, address) {
  await until("the window", () => main()?.document.readyState == "complete" && main().openAccountHub);
  await until("the first folders", () => main().gSpacesToolbar?.isLoaded ?? true);
  if (!hub()) {
    await main().openAccountHub("MAIL");
  }
  const field = await until("the form", () => step()?.id == "emailAutoConfigSubview" && find(hub(), "#email"));
  find(hub(), "#realName").setUserInput(name);
  field.setUserInput(address);
  await forward();
}

// What the hub says that it has found.
async function found() {
  await until("settings", () => {
    const now = shown();
    // After a search in vain the hub asks for everything by hand, and where it needs one, for a password.
    if (!["", "emailAutoConfigSubview", "emailConfigFoundSubview"].includes(now.step) || now.error) {
      throw new Error(`nothing found: ${JSON.stringify(now)}`);
    }
    return now.step == "emailConfigFoundSubview" && !hub().classList.contains("busy");
  });
  const view = step();
  const said = id => view.querySelector(`#${id}`)?.textContent ?? "";
  return {
    incoming: { type: said("incomingType"), host: said("incomingHost"), port: said("incomingPort") },
    outgoing: { type: said("outgoingType"), host: said("outgoingHost"), port: said("outgoingPort") },
    // The name of the sentence that says where the settings come from.
    source: find(view, "[data-l10n-id^=account-hub-config-success-description-]")?.dataset.l10nId ?? "",
  };
}

// Goes on, gives the password, and waits until the account is there.
async function make(password) {
  await forward();
  await until("the question for the password", () => step()?.id == "emailPasswordSubview");
  find(step(), "#password").setUserInput(password);
  await forward();
  await until("the account", () => {
    const now = shown();
    if (now.error) {
      throw new Error(`no account: ${now.notice}`);
    }
    return ["emailAddedSuccessSubview", "emailSyncAccountsSubview"].includes(now.step);
  });
  return shown();
}

// The word for a number in an interface of constants.
function word(constants, number) {
  return Object.keys(constants).find(name => constants[name] === number) ?? String(number);
}

const mine = () => MailServices.accounts.accounts.find(a => ["imap", "pop3"].includes(a.incomingServer.type));

// The account's settings as Thunderbird keeps them.
function settings() {
  const server = mine().incomingServer;
  const key = mine().defaultIdentity.smtpServerKey;
  const sender = MailServices.outgoingServer.getServerByKey(key).QueryInterface(Ci.nsISmtpServer);
  const row = (s, host, port) => ({
    type: s.type, host, port, user: s.username,
    security: word(Ci.nsMsgSocketType, s.socketType), auth: word(Ci.nsMsgAuthMethod, s.authMethod),
  });
  return { incoming: row(server, server.hostname, server.port), outgoing: row(sender, sender.hostname, sender.port) };
}

// The source of the message with this subject, from a folder that is fetched by IMAP; waits for it.
async function read(flag, subject) {
  const root = mine().incomingServer.rootFolder;
  const folder = await until("the folder", () => root.getFolderWithFlags(Ci.nsMsgFolderFlags[flag]));
  let asked = 0;
  const header = await until(`a message in ${folder.name}`, () => {
    const all = [...folder.messages];
    if (Date.now() - asked > 2000) {
      asked = Date.now();
      folder.updateFolder(main().msgWindow);
    }
    return all.find(message => message.mime2DecodedSubject == subject);
  });
  const uri = folder.getUriForMsg(header);
  return new Promise((resolve, reject) => {
    let text = "";
    const listener = {
      QueryInterface: ChromeUtils.generateQI(["nsIStreamListener", "nsIRequestObserver"]),
      onStartRequest() {},
      onStopRequest: (_, status) => (Components.isSuccessCode(status) ? resolve(text) : reject(new Error(`reading: ${status}`))),
      onDataAvailable(_, stream, __, count) {
        const input = Cc["@mozilla.org/scriptableinputstream;1"].createInstance(Ci.nsIScriptableInputStream);
        input.init(stream);
        text += input.readBytes(count);
      },
    };
    MailServices.messageServiceFromURI(uri).streamMessage(uri, listener, null, null, false, "", false);
  });
}

// Sends a message as a composition window does, and waits until it has left and a copy is kept.
async function send(to, subject, body) {
  const identity = mine().defaultIdentity;
  const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
  fields.from = MailServices.headerParser.makeMimeHeader([{ name: identity.fullName, email: identity.email }]);
  fields.to = to;
  fields.subject = subject;
  const sender = Cc["@mozilla.org/messengercompose/send;1"].createInstance(Ci.nsIMsgSend);
  await new Promise((resolve, reject) => {
    const listener = {
      QueryInterface: ChromeUtils.generateQI(["nsIMsgSendListener"]),
      onStartSending() {},
      onSendProgress() {},
      onStatus() {},
      onGetDraftFolderURI() {},
      onSendNotPerformed: (_, status) => reject(new Error(`not sent: ${status.toString(16)}`)),
      onTransportSecurityError: (_, status) => reject(new Error(`not sent, TLS: ${status.toString(16)}`)),
      onStopSending: (_, status, text) =>
        Components.isSuccessCode(status) ? resolve() : reject(new Error(`not sent: ${status.toString(16)} ${text}`)),
    };
    sender.createAndSendMessage(
      null, identity, mine().key, fields, false, false, Ci.nsIMsgCompDeliverMode.Now, null, "text/plain", body,
      main(), null, listener, null, null, Ci.nsIMsgCompType.New
    ).catch(reject);
  });
}
