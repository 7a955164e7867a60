// The code that wit-bindgen makes refers to an object file with the types of the world. `floodgate handler build` puts
// them into the component itself, from the folder `wit`.
void __component_type_object_force_link_guest(void) {}
