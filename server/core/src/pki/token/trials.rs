//! What happens to tokens, done to one by tests.

use super::{
    Token,
    module::{object, wrong},
};
use crate::pki::keys::KeyError;
use cryptoki::{
    error::Error as TokenError,
    mechanism::Mechanism,
    object::{Attribute, ObjectClass},
    session::UserType,
    types::AuthPin,
};
use std::{
    sync::{Arc, atomic::Ordering, mpsc},
    thread,
};

const ANOTHER: &str = "12344321";

impl Token {
    /// How many objects are on it: two to a key.
    pub fn objects(&self) -> Result<usize, KeyError> {
        self.ready("counting")?;
        Ok(self.line.lock().session.find_objects(&[Attribute::Token(true)]).map_err(wrong("counting"))?.len())
    }

    /// How often it was given a PIN since it was opened.
    pub fn logins(&self) -> usize {
        self.logins.load(Ordering::SeqCst)
    }

    /// Makes a key that it does not let anybody destroy.
    pub fn generate_for_good(&self, name: &str) -> Result<(), KeyError> {
        let named = |private: bool| {
            let id = name.as_bytes().to_vec();
            vec![Attribute::Token(true), Attribute::Id(id), Attribute::Private(private), Attribute::Destroyable(false)]
        };
        let parameters = Attribute::EcParams(super::curve::parameters(wire::roots::RootKey::P256).to_vec());
        let (public, private) = ([named(false), vec![parameters]].concat(), named(true));
        let made = self.line.lock().session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private);
        made.map(drop).map_err(wrong("making a key"))
    }

    /// Calls a key by another name, under which nobody looks for it.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), KeyError> {
        const DOING: &str = "renaming a key";
        self.ready(DOING)?;
        let line = self.line.lock();
        for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
            let found = object(&line.session, class, from).map_err(wrong(DOING))?.unwrap();
            line.session.update_attributes(found, &[Attribute::Id(to.as_bytes().to_vec())]).map_err(wrong(DOING))?;
        }
        Ok(())
    }

    /// Ends what this process has with it, as a module that was restarted does: nobody is logged in, and no handle of a private key means anything.
    pub fn forget_us(&self) -> Result<(), TokenError> {
        self.line.lock().session.logout()
    }

    /// The same, and it takes nobody in again.
    pub fn lock_us_out(&self) -> Result<(), TokenError> {
        let pin = self.pin.lock().shown();
        self.line.lock().session.set_pin(&pin, &AuthPin::new(ANOTHER.into()))?;
        self.forget_us()
    }

    /// Takes us in again, when it is asked next: whoever has set the PIN writes it into its file.
    pub fn let_us_in(&self) -> Result<(), TokenError> {
        let (another, pin) = (AuthPin::new(ANOTHER.into()), self.pin.lock().shown());
        let line = self.line.lock();
        line.session.login(UserType::User, Some(&another))?;
        line.session.set_pin(&another, &pin)?;
        line.session.logout()?;
        self.pin.lock().write_again();
        Ok(())
    }

    /// Keeps whoever asks it waiting, until what this gives is dropped.
    pub fn hang(self: &Arc<Self>) -> mpsc::Sender<()> {
        let (over, wait) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let token = Arc::clone(self);
        thread::spawn(move || {
            let _line = token.line.lock();
            tell.send(()).unwrap();
            // Comes to an end with the other one's.
            let _over = wait.recv();
        });
        told.recv().unwrap();
        over
    }
}
